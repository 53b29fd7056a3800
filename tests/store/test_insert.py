"""From raw OTLP bytes to rows: what ClickHouse makes of them, and what happens when it is given them twice."""

from importlib import import_module

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from backtrail import semconv
from backtrail_store import Batch, BatchRefused, Store, StoreError
from tests.conftest import Insert
from tests.factories import (
    ROOT_ID,
    SECOND,
    START,
    TRACE_ID,
    Value,
    batch_of,
    otlp_request,
    plain_span,
    run_span,
    step_span,
)

TRACE = TRACE_ID.hex()


def test_conventions_become_columns(insert: Insert, store: Store) -> None:
    insert(
        step_span(
            "chat",
            attributes={
                semconv.STEP_KIND: "llm",
                semconv.STEP_KEY: "k1",
                semconv.STEP_SEQ_START: 4,
                semconv.QUERY: "where is my order?",
                semconv.TASK_ID: "t1",
                semconv.TASK_PARENT_ID: "t0",
                semconv.TASK_CHAIN: ["t0"],
                semconv.DEPTH: 1,
                semconv.AGENT_KEY: "a1",
                semconv.GEN_AI_AGENT_NAME: "researcher",
                semconv.GEN_AI_OPERATION_NAME: "chat",
                semconv.GEN_AI_PROVIDER_NAME: "openai",
                semconv.GEN_AI_REQUEST_MODEL: "gpt-4o-mini",
                semconv.GEN_AI_USAGE_INPUT_TOKENS: 100,
                semconv.GEN_AI_USAGE_OUTPUT_TOKENS: 0,
                semconv.SESSION_ID: "s1",
                semconv.USER_ID: "u1",
            },
        )
    )

    [row] = store.reader.get_trace("default", TRACE)
    assert (row.backtrail_kind, row.step_kind, row.step_key, row.seq) == ("step", "llm", "k1", 4)
    assert (row.query, row.task_id, row.parent_task_id, row.task_chain, row.depth) == (
        "where is my order?",
        "t1",
        "t0",
        ["t0"],
        1,
    )
    assert (row.agent_key, row.agent_name, row.conversation_id, row.user_id) == ("a1", "researcher", "s1", "u1")
    assert (row.provider_name, row.request_model, row.input_tokens, row.output_tokens) == (
        "openai",
        "gpt-4o-mini",
        100,
        0,
    )
    assert row.cache_read_input_tokens is None


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"gen_ai.operation.name": "chat"}, "llm"),
        ({"gen_ai.operation.name": "embeddings"}, "embedding"),
        ({"gen_ai.operation.name": "execute_tool"}, "tool"),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m"}, "agent"),
        ({"gen_ai.operation.name": "retrieval"}, "retriever"),
        ({"gen_ai.tool.name": "search"}, "tool"),
        ({"gen_ai.operation.name": "new_word", "gen_ai.request.model": "m"}, "llm"),
        ({"http.request.method": "GET"}, ""),
    ],
)
def test_what_others_emit_is_recognised(insert: Insert, store: Store, attributes: dict[str, Value], kind: str) -> None:
    insert(plain_span(attributes=attributes))

    [row] = store.reader.get_trace("default", TRACE)
    assert row.step_kind == kind


@pytest.mark.parametrize(
    ("start", "end", "flagged", "duration"),
    [
        (0, 0, "no start time", 0),
        (START, START - 1, f"end before start: {START - 1}", 0),
        (2**64 - 1, 2**64 - 1, f"time out of range: {2**64 - 1} to {2**64 - 1}", 0),
        (START, 2**63, f"time out of range: {START} to {2**63}", 5617 * 10**15 - START),
    ],
)
def test_an_odd_time_is_stored_and_flagged(
    insert: Insert, store: Store, start: int, end: int, flagged: str, duration: int
) -> None:
    odd = plain_span()
    odd.start_time_unix_nano, odd.end_time_unix_nano = start, end

    insert(odd, step_span())

    spans = {span.name: span for span in store.reader.get_trace("default", TRACE)}
    assert spans["work"].attributes[semconv.FLAGGED] == flagged
    assert spans["work"].duration_ns == duration
    assert semconv.FLAGGED not in spans["search"].attributes


def test_a_batch_written_twice_is_read_once(store: Store) -> None:
    batch = batch_of(otlp_request(run_span(), step_span()))

    store.insert(batch)
    store.insert(batch)

    assert [span.name for span in store.reader.get_trace("default", TRACE)] == ["support-bot", "search"]


def test_a_span_written_again_in_another_batch_is_read_once(insert: Insert, store: Store) -> None:
    insert(run_span(), step_span(attributes={"gen_ai.tool.call.result": "found"}))
    insert(step_span(attributes={"gen_ai.tool.call.result": "found"}))

    spans = store.reader.get_trace("default", TRACE)
    assert [span.name for span in spans] == ["support-bot", "search"]
    assert spans[1].attributes["gen_ai.tool.call.result"] == "found"


@pytest.mark.parametrize("final_first", [True, False])
def test_the_final_span_replaces_its_pending_row_in_any_order(insert: Insert, store: Store, final_first: bool) -> None:
    final = step_span(number=9)
    pending = plain_span(
        "search",
        id_=b"\x77" * 8,
        parent_id=final.span_id,
        start=final.start_time_unix_nano,
        duration=0,
        attributes={
            semconv.KIND: "pending",
            semconv.PENDING_KIND: "step",
            semconv.PENDING_OF: final.span_id.hex(),
            semconv.PENDING_PARENT: ROOT_ID.hex(),
        },
    )
    for span in (final, pending) if final_first else (pending, final):
        insert(span)

    [row] = store.reader.get_trace("default", TRACE)
    assert (row.span_id, row.parent_span_id, row.is_pending) == (final.span_id.hex(), ROOT_ID.hex(), False)


def test_a_pending_row_alone_stands_for_its_span(insert: Insert, store: Store) -> None:
    insert(
        plain_span(
            "handle",
            id_=b"\x77" * 8,
            parent_id=ROOT_ID,
            duration=0,
            attributes={
                semconv.KIND: "pending",
                semconv.PENDING_KIND: "run",
                semconv.PENDING_OF: ROOT_ID.hex(),
                semconv.PENDING_PARENT: "0" * 16,
            },
        )
    )

    [row] = store.reader.get_trace("default", TRACE)
    assert (row.span_id, row.parent_span_id, row.backtrail_kind, row.is_pending) == (ROOT_ID.hex(), "", "run", True)


def test_projects_do_not_see_each_other(insert: Insert, store: Store) -> None:
    insert(plain_span("ours"), project="ours")
    insert(plain_span("theirs"), project="theirs")

    assert [span.name for span in store.reader.get_trace("ours", TRACE)] == ["ours"]


def test_late_spans_of_many_weeks_enter_in_one_batch(insert: Insert, store: Store) -> None:
    weeks = [plain_span(id_=(n + 1).to_bytes(8, "big"), start=START - n * 7 * 86_400 * SECOND) for n in range(150)]

    insert(*weeks)

    assert len(store.reader.get_trace("default", TRACE)) == 150


@pytest.mark.parametrize("body", [b"garbage", b"\x0a\x05abc", b"\x0a\x03\x0a\x01\xff\x0a"])
def test_bytes_that_are_no_batch_are_refused_for_good(store: Store, body: bytes) -> None:
    with pytest.raises(BatchRefused):
        store.insert(Batch([body], "token"))


def test_a_request_that_takes_more_memory_than_an_insert_may_have_is_refused_for_good(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(import_module("backtrail_store.insert")._SETTINGS, "max_memory_usage", 4 << 20)

    with pytest.raises(BatchRefused, match="memory limit"):
        store.insert(batch_of(otlp_request(plain_span(events=[Span.Event()] * 1_000_000))))


def test_a_store_that_is_broken_is_not_the_fault_of_the_batch(store: Store) -> None:
    with store._writers.borrow() as client:
        client.command("CREATE MATERIALIZED VIEW broken TO contents AS SELECT throwIf(1) AS hash FROM span_in")

    try:
        with pytest.raises(StoreError) as failure:
            store.insert(batch_of(otlp_request(run_span())))
        assert not isinstance(failure.value, BatchRefused)
    finally:
        with store._writers.borrow() as client:
            client.command("DROP VIEW broken")


def test_an_unknown_kind_and_status_do_not_fail_the_batch(insert: Insert, store: Store) -> None:
    odd = plain_span()
    odd.kind, odd.status.code = 77, 99  # type: ignore[assignment]

    insert(odd, plain_span("next", id_=b"\x05" * 8, status=Status.STATUS_CODE_ERROR))

    rows = {row.name: row for row in store.reader.get_trace("default", TRACE)}
    assert (rows["work"].kind, rows["work"].status_code) == ("unspecified", "unset")
    assert rows["next"].status_code == "error"


@pytest.mark.parametrize("broken", ["spans", "contents"])
def test_after_one_view_failed_the_same_batch_fills_only_what_is_missing(store: Store, broken: str) -> None:
    batch = batch_of(otlp_request(run_span(), step_span(attributes={"gen_ai.tool.call.result": "found"})))
    with store._writers.borrow() as client:
        client.command(f"RENAME TABLE {broken} TO hidden")
    with pytest.raises(StoreError):
        store.insert(batch)
    with store._writers.borrow() as client:
        client.command(f"RENAME TABLE hidden TO {broken}")

    store.insert(batch)

    with store._writers.borrow() as client:
        rows = client.query("SELECT (SELECT count() FROM spans), (SELECT count() FROM contents)").result_rows
    assert rows == [(2, 1)]
