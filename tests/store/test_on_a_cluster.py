"""The schema of a cluster at work: a real engine behind real Distributed tables, in a process of its own."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from backtrail_store import RunFilter, Store, open_store
from backtrail_store.migrations import schema_of
from tests.clickhouse_http import clickhouse_process
from tests.factories import TRACE_ID, batch_of, otlp_request, run_span, step_span

SPANS = batch_of(
    otlp_request(
        run_span(),
        step_span(
            attributes={
                "backtrail.step.kind": "llm",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o-mini",
                "gen_ai.usage.input_tokens": 1000,
                "gen_ai.tool.call.result": "found",
            }
        ),
    )
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Twice a shard of its cluster: two shards that share their rows, which is enough to see what several take."""
    with clickhouse_process(tmp_path_factory.mktemp("cluster"), "--cluster", "main", "--shards", "2") as address:
        yield address


@pytest.fixture(scope="module")
def store(server: str) -> Iterator[Store]:
    with open_store(f"{server}/on_a_cluster", cluster="main") as store:
        store.migrate()
        yield store


def test_spans_go_in_at_any_node_and_come_out_priced(store: Store) -> None:
    store.insert(SPANS)
    store.insert(SPANS)

    spans = store.reader.get_trace("default", TRACE_ID.hex())
    assert [span.name for span in spans] == ["support-bot", "search"]
    assert spans[1].attributes["gen_ai.tool.call.result"] == "found"
    with store._readers.borrow() as client:
        assert client.command("SELECT count() FROM spans_local") == 2  # the token came with the rows to their shard
        assert client.command("SELECT engine FROM system.tables WHERE name = 'spans'") == "Distributed"


def test_questions_may_be_asked_of_several_shards(store: Store) -> None:
    store.insert(SPANS)

    runs = store.reader.find_runs("default", RunFilter())
    assert {run.run_id for run in runs} == {TRACE_ID.hex()}
    assert runs[0].cost_usd == Decimal("0.00015")
    for run_filter in (
        RunFilter(kind="run"),
        RunFilter(kind="any"),
        RunFilter(status="running"),
        RunFilter(status="failed"),
    ):
        store.reader.find_runs("default", run_filter)
    assert len(store.reader.get_trace_json("default", TRACE_ID.hex())) == 2
    store.prices.learn(since_unix_nano=0)


def test_the_engine_makes_the_replicated_tables_and_a_replica_that_takes_no_rows_is_named(server: str) -> None:
    with open_store(f"{server}/replicated", cluster="main") as store, store._writers.borrow() as client:
        client.command("CREATE DATABASE replicated", use_database=False)
        assert store.health().ailing_replicas == ()
        files = schema_of(store._address).files.values()
        replicated = [statement for part in files for statement in part if "ENGINE = Replicated" in statement]
        for statement in replicated:
            # Written like this it comes to the engine as it is. It has a keeper of its own, but no network between
            # servers: the tables are made, and stay read-only.
            client.command(statement.replace("ENGINE = ", "ENGINE="))
        ailing = store.health().ailing_replicas

    assert len(ailing) == len(replicated)
    assert {replica.is_readonly for replica in ailing} == {True}
    assert "spans_local is read-only on this node: it has lost ClickHouse Keeper" in map(str, ailing)


def test_a_second_migration_finds_nothing_to_do(store: Store) -> None:
    assert store.migrate() == []
    store.check_schema()
