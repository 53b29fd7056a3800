"""The same store over ClickHouse's HTTP interface, as with a server."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from backtrail_store import Batch, BatchRefused, RunFilter, Store, StoreUnavailable, open_store
from tests.clickhouse_http import clickhouse_listening
from tests.factories import TRACE_ID, Value, batch_of, otlp_request, run_span, step_span


@pytest.fixture(scope="module")
def server_store(engine_folder: Path) -> Iterator[Store]:
    with clickhouse_listening(engine_folder) as address, open_store(f"{address}/on_a_server") as store:
        store.migrate()
        yield store


def test_spans_go_in_and_come_out_priced(server_store: Store) -> None:
    usage: dict[str, Value] = {
        "backtrail.step.kind": "llm",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.tool.call.result": "found",
    }
    server_store.insert(batch_of(otlp_request(run_span(), step_span(attributes=usage))))

    [run] = server_store.reader.find_runs("default", RunFilter())
    spans = server_store.reader.get_trace("default", TRACE_ID.hex())

    assert (run.span_count, run.input_tokens) == (2, 1000)
    assert run.cost_usd == pytest.approx(0.00015)
    assert spans[1].attributes["gen_ai.tool.call.result"] == "found"
    assert len(server_store.reader.get_trace_json("default", TRACE_ID.hex()).spans) == 2


def test_a_second_migration_finds_nothing_to_do(server_store: Store) -> None:
    assert server_store.migrate() == []


def test_bytes_that_are_no_batch_are_refused_for_good(server_store: Store) -> None:
    with pytest.raises(BatchRefused, match="Code: 444"):
        server_store.insert(Batch(b"garbage", "token"))


def test_a_server_that_goes_away_is_something_to_wait_for(engine_folder: Path) -> None:
    with ExitStack() as stack:
        with clickhouse_listening(engine_folder) as address:
            store = stack.enter_context(open_store(f"{address}/away"))

        with pytest.raises(StoreUnavailable):
            store.insert(batch_of(otlp_request(run_span())))
