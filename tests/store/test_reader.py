"""Runs found, filtered and added up."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from backtrail import semconv
from backtrail_store import RunFilter, Store, reader
from backtrail_store.rows import RunStatus
from tests.conftest import Insert
from tests.factories import (
    ROOT_ID,
    SECOND,
    START,
    TRACE_ID,
    Attributes,
    Value,
    plain_span,
    run_span,
    span_id,
    step_span,
)


def trace_id(number: int) -> bytes:
    return (number + 1).to_bytes(16, "big")


def run(number: int, attributes: Attributes | None = None, *, start: int | None = None) -> Span:
    span = run_span(f"run-{number}", trace_id=trace_id(number), attributes=attributes)
    span.start_time_unix_nano = START + number * SECOND if start is None else start
    span.end_time_unix_nano = span.start_time_unix_nano + SECOND
    return span


def pending_run(number: int) -> Span:
    attributes: dict[str, Value] = {
        semconv.KIND: "pending",
        semconv.PENDING_KIND: "run",
        semconv.PENDING_OF: ROOT_ID.hex(),
        semconv.PENDING_PARENT: "0" * 16,
    }
    start = START + number * SECOND
    return plain_span(f"run-{number}", trace_id=trace_id(number), id_=span_id(7), start=start, attributes=attributes)


def names(store: Store, where: RunFilter) -> list[str]:
    return [found.name for found in store.reader.find_runs("default", where)]


def test_runs_come_newest_first_and_page_without_gap_or_repeat(insert: Insert, store: Store) -> None:
    insert(*[run(number) for number in range(7)])

    pages, before = [], None
    while page := store.reader.find_runs("default", RunFilter(limit=3, before=before)):
        pages.append([found.name for found in page])
        before = (page[-1].start_time_unix_nano, page[-1].run_id)

    assert pages == [["run-6", "run-5", "run-4"], ["run-3", "run-2", "run-1"], ["run-0"]]


def test_runs_that_began_in_the_same_nanosecond_page_without_gap_or_repeat(insert: Insert, store: Store) -> None:
    insert(*[run(number, start=START) for number in range(5)])

    found: list[str] = []
    before = None
    while page := store.reader.find_runs("default", RunFilter(limit=2, before=before)):
        found += [row.run_id for row in page]
        before = (page[-1].start_time_unix_nano, page[-1].run_id)

    assert sorted(found) == [trace_id(number).hex() for number in range(5)]


def test_a_trace_of_several_roots_is_listed_once(insert: Insert, store: Store) -> None:
    roots = [plain_span(f"root-{n}", trace_id=trace_id(1), id_=span_id(n), start=START + n * SECOND) for n in (2, 3)]
    insert(run(0), *roots, run(9))

    assert names(store, RunFilter(kind="any")) == ["run-9", "root-3", "run-0"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (RunFilter(status="failed"), ["run-2"]),
        (RunFilter(status="cancelled"), ["run-3"]),
        (RunFilter(status="completed"), ["run-1"]),
        (RunFilter(name="run-3"), ["run-3"]),
        (RunFilter(user_id="anna"), ["run-1"]),
        (RunFilter(conversation_id="c2"), ["run-2"]),
        (RunFilter(service="nobody"), []),
        (RunFilter(start=datetime.fromtimestamp(START // SECOND + 2, UTC)), ["run-3", "run-2"]),
        (RunFilter(end=datetime.fromtimestamp(START // SECOND + 2, UTC)), ["run-1"]),
    ],
)
def test_runs_are_filtered(insert: Insert, store: Store, where: RunFilter, expected: list[str]) -> None:
    insert(
        run(1, {semconv.USER_ID: "anna"}),
        run(2, {semconv.RUN_STATUS: "failed", semconv.GEN_AI_CONVERSATION_ID: "c2"}),
        run(3, {semconv.RUN_STATUS: "cancelled"}),
    )

    assert names(store, where) == expected


@pytest.mark.parametrize(("silent_seconds", "status"), [(5, "running"), (300, "incomplete")])
def test_a_run_without_an_end_runs_until_it_is_silent(
    insert: Insert, store: Store, silent_seconds: int, status: RunStatus
) -> None:
    insert(run(1))
    insert(*[pending_run(number) for number in (2, 3, 4)], received=time.time_ns() - silent_seconds * SECOND)

    assert names(store, RunFilter(status=status)) == ["run-4", "run-3", "run-2"]
    assert names(store, RunFilter(status=status, limit=2)) == ["run-4", "run-3"]
    assert names(store, RunFilter(status="incomplete" if status == "running" else "running")) == []


def test_a_trace_of_somebody_else_is_listed_if_an_agent_or_a_model_was_at_work(insert: Insert, store: Store) -> None:
    insert(run(0))
    for number, said in enumerate(OTHERS, start=1):
        id_, start = trace_id(number), START + number * SECOND
        root = plain_span(f"POST /{number}", trace_id=id_, start=start)
        insert(root, plain_span(trace_id=id_, id_=span_id(9), parent_id=root.span_id, start=start, attributes=said))

    assert names(store, RunFilter()) == ["POST /4", "POST /3", "POST /2", "run-0"]
    assert names(store, RunFilter(limit=1)) == ["POST /4"]
    assert names(store, RunFilter(kind="run")) == ["run-0"]
    assert names(store, RunFilter(kind="any")) == ["POST /5", "POST /4", "POST /3", "POST /2", "POST /1", "run-0"]


def test_a_run_behind_more_web_requests_than_are_read_at_once_is_found(
    insert: Insert, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_MOST_ROWS", 4)
    insert(run(0), run(1), *[plain_span("GET /", trace_id=trace_id(n), start=START + n * SECOND) for n in range(2, 20)])

    assert names(store, RunFilter(limit=2)) == ["run-1", "run-0"]
    assert names(store, RunFilter(limit=1)) == ["run-1"]


OTHERS: list[dict[str, Value]] = [
    {"http.request.method": "GET"},
    {semconv.GEN_AI_OPERATION_NAME: "chat"},
    {semconv.GEN_AI_OPERATION_NAME: "invoke_agent"},
    {"openinference.span.kind": "LLM"},
    {semconv.GEN_AI_OPERATION_NAME: "execute_tool"},
]


def test_a_trace_of_somebody_else_says_how_it_ended(insert: Insert, store: Store) -> None:
    insert(plain_span("POST /chat", status=Status.STATUS_CODE_ERROR, message="upstream is down"))

    [found] = store.reader.find_runs("default", RunFilter(kind="any"))
    assert (found.run_id, found.name, found.status) == (TRACE_ID.hex(), "POST /chat", "failed")
    assert found.error_message == "upstream is down"


def llm(
    number: int, parent: bytes, attributes: Attributes | None = None, *, tokens: int | None = 100, kind: str = "llm"
) -> Span:
    usage: dict[str, Value] = {}
    if tokens is not None:
        usage = {semconv.GEN_AI_USAGE_INPUT_TOKENS: tokens, semconv.GEN_AI_USAGE_OUTPUT_TOKENS: tokens // 10}
    model: dict[str, Value] = {semconv.GEN_AI_PROVIDER_NAME: "openai", semconv.GEN_AI_REQUEST_MODEL: "gpt-4o-mini"}
    return step_span(
        "chat",
        number=number,
        parent_id=parent,
        attributes=model | {semconv.STEP_KIND: kind} | usage | dict(attributes or {}),
    )


def totals(store: Store) -> tuple[int, int | None, int | None]:
    found = store.reader.get_run("default", TRACE_ID.hex())
    assert found is not None
    return found.llm_calls, found.input_tokens, found.output_tokens


def test_of_nested_descriptions_of_one_call_the_innermost_counts(insert: Insert, store: Store) -> None:
    wrapper, http = llm(1, ROOT_ID), plain_span("POST", id_=span_id(2), parent_id=span_id(1))
    inner = llm(3, span_id(2), tokens=120)

    insert(run_span(), wrapper, http, inner, llm(4, ROOT_ID, tokens=7))

    assert totals(store) == (2, 127, 12)


def test_an_agents_repeated_sum_counts_only_where_no_call_was_recorded(insert: Insert, store: Store) -> None:
    insert(run_span(), llm(1, ROOT_ID, kind="agent", tokens=500))
    assert totals(store) == (1, 500, 50)

    insert(llm(2, span_id(1), tokens=400))
    assert totals(store) == (1, 400, 40)


@pytest.mark.parametrize("run_type", ["prompt", "retriever", "chain"])
def test_a_span_that_names_a_models_operation_and_is_none_counts_nothing(
    insert: Insert, store: Store, run_type: str
) -> None:
    attributes: Attributes = {"langsmith.span.kind": run_type, semconv.GEN_AI_OPERATION_NAME: "chat"}
    insert(run_span(), plain_span("template", id_=span_id(1), parent_id=ROOT_ID, attributes=attributes))

    assert totals(store) == (0, None, None)


def test_a_sum_that_is_called_one_by_its_sender_never_counts(insert: Insert, store: Store) -> None:
    """Pydantic AI's agents: nobody else's name for it is read as usage."""
    summed = {"gen_ai.aggregated_usage.input_tokens": 500, "gen_ai.aggregated_usage.output_tokens": 50}
    agent: Attributes = {semconv.GEN_AI_OPERATION_NAME: "invoke_agent", **summed}
    insert(run_span(), plain_span("agent run", id_=span_id(1), parent_id=ROOT_ID, attributes=agent))

    assert totals(store) == (0, None, None)


def test_an_answer_told_by_two_instrumentations_counts_once(insert: Insert, store: Store) -> None:
    answer: Attributes = {semconv.GEN_AI_RESPONSE_ID: "chatcmpl-CGrYsmKb2dUHTxEq9ohX7mTqEVGAB"}
    insert(run_span(), llm(1, ROOT_ID, answer), llm(2, span_id(9), answer), llm(3, ROOT_ID))

    assert totals(store) == (2, 200, 20)
    found = store.reader.get_run("default", TRACE_ID.hex())
    assert found is not None
    assert found.calls_told_again == 1


def test_steps_answered_from_the_record_count_nothing(insert: Insert, store: Store) -> None:
    insert(run_span(), llm(1, ROOT_ID), llm(2, ROOT_ID, {semconv.STEP_REPLAYED: True}))

    assert totals(store) == (1, 100, 10)


def test_a_run_without_usage_has_unknown_tokens_and_cost_not_zero(insert: Insert, store: Store) -> None:
    insert(run_span(), llm(1, ROOT_ID, tokens=None))

    found = store.reader.get_run("default", TRACE_ID.hex())
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.cost_usd) == (None, None, None)


def test_an_unknown_run_is_none_and_an_unknown_trace_is_empty(store: Store) -> None:
    assert store.reader.get_run("default", "0" * 31 + "1") is None
    assert store.reader.get_trace("default", "0" * 31 + "1") == []


@pytest.mark.parametrize(
    "hostile", ["'", "\\", "a\tb\nc", "{x:String}", "%s", "' OR 1=1 --", "\\N", "\u2028", "🦜\x00"]
)
def test_a_filter_is_a_value_and_never_sql(insert: Insert, store: Store, hostile: str) -> None:
    insert(run(1, {semconv.USER_ID: hostile}), run(2))

    assert names(store, RunFilter(user_id=hostile)) == ["run-1"]


def test_a_time_range_is_exact_to_the_microsecond(insert: Insert, store: Store) -> None:
    insert(run(1, start=START + 1000))
    moment = datetime.fromtimestamp(START // SECOND, UTC) + timedelta(microseconds=1)

    assert names(store, RunFilter(start=moment, end=moment + timedelta(microseconds=1))) == ["run-1"]
    assert names(store, RunFilter(end=moment)) == []


def test_some_spans_of_a_trace_are_read_with_their_payloads(store: Store, insert: Insert) -> None:
    payload: Attributes = {"gen_ai.input.messages": '[{"role":"user","content":"hello"}]'}
    insert(run_span(), *(step_span(f"step {n}", number=n, attributes=payload) for n in (1, 2, 3)))

    wanted = [span_id(3).hex(), span_id(1).hex(), span_id(99).hex()]
    spans = store.reader.get_spans("default", TRACE_ID.hex(), wanted)

    assert [span.name for span in spans] == ["step 1", "step 3"]
    assert {span.attributes["gen_ai.input.messages"] for span in spans} == set(payload.values())
    assert store.reader.get_spans("default", TRACE_ID.hex(), []) == []
    assert store.reader.get_spans("other", TRACE_ID.hex(), wanted) == []


def test_a_traces_steps_say_who_called_whom(store: Store, insert: Insert) -> None:
    insert(run_span(), step_span("search", attributes={"gen_ai.tool.call.id": "call_1"}))

    run, step = store.reader.get_steps("default", TRACE_ID.hex())

    assert (run.parent_span_id, step.parent_span_id) == ("", run.span_id)
    assert (step.name, step.step_kind, step.tool_call_id) == ("search", "tool", "call_1")
    assert store.reader.get_steps("other", TRACE_ID.hex()) == []
