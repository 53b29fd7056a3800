"""The API over real spans in a real store."""

import time
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail import semconv
from backtrail._reading.answers import Run
from backtrail_query.models import CheckpointPage, Problem, RunPage, RunView, StateAnswer, TraceView
from backtrail_store import Store
from backtrail_store.address import parse_address
from backtrail_store.reader import TraceReader
from backtrail_store.rows import SpanRow
from tests.conftest import Insert
from tests.factories import (
    ROOT_ID,
    START,
    TRACE_ID,
    Attributes,
    Value,
    batch_of,
    otlp_request,
    plain_span,
    run_span,
    span_id,
    step_span,
)
from tests.query_api import recorded
from tests.query_api.recorded import RUN_ID, failed_run


def outline(node: dict[str, Any]) -> object:
    children = [outline(child) for child in node["children"]]
    return {node["name"]: children} if children else node["name"]


def test_a_run_is_told_with_its_tree_its_totals_and_its_outcome(failed_run_api: TestClient) -> None:
    answer = failed_run_api.get(f"/api/v1/runs/{RUN_ID}")

    run = RunView.model_validate_json(answer.content)
    assert (run.name, run.status, run.query) == ("support", "failed", "my lamp is broken")
    assert run.input == {"message": "my lamp is broken"}
    assert run.error == {"type": "TimeoutError", "message": "the bank does not answer"}
    assert outline(answer.json()["tree"]) == {"support": [{"invoke_agent refunds": ["chat plan", "execute_tool pay"]}]}
    assert run.records == {"checkpoint": 2}
    assert (run.totals.llm_calls, run.totals.input_tokens, run.steps_total) == (1, 1_000_000, 2)
    assert run.cost_usd == run.tree.cost_usd == pytest.approx(0.15)
    assert [(agent.name, agent.status, agent.step_count) for agent in run.agents] == [("refunds", "failed", 2)]
    assert run.tree.children[0].children[1].error_message == "the bank does not answer"


def test_each_span_of_a_run_says_how_it_was_counted(api: TestClient, store: Store) -> None:
    usage: dict[str, Value] = {semconv.GEN_AI_USAGE_INPUT_TOKENS: 100, semconv.GEN_AI_REQUEST_MODEL: "gpt-4o"}
    chat: Attributes = {semconv.GEN_AI_OPERATION_NAME: "chat", **usage}
    agent: Attributes = {semconv.GEN_AI_OPERATION_NAME: "invoke_agent", **usage}
    pending: dict[str, Value] = {
        semconv.KIND: "pending",
        semconv.PENDING_OF: span_id(8).hex(),
        semconv.PENDING_PARENT: span_id(2).hex(),
        semconv.PENDING_KIND: "step",
        semconv.STEP_KIND: "llm",
    }
    served: dict[str, Value] = {semconv.KIND: "step", semconv.STEP_KIND: "llm", semconv.STEP_REPLAYED: True}
    framework = [
        run_span(),
        plain_span("agent", id_=span_id(2), parent_id=ROOT_ID, attributes=agent),
        plain_span("framework", id_=span_id(3), parent_id=span_id(2), attributes=chat),
        plain_span("look up", id_=span_id(4), parent_id=span_id(2)),
        plain_span("served", id_=span_id(5), parent_id=span_id(2), attributes=served | usage),
        plain_span("open", id_=span_id(6), parent_id=span_id(2), attributes=pending | usage),
    ]
    client = [plain_span("client", id_=span_id(7), parent_id=span_id(2), attributes=chat)]
    store.insert(batch_of(otlp_request(*framework, scope="framework"), otlp_request(*client, scope="client")))

    run = RunView.model_validate_json(api.get(f"/api/v1/runs/{TRACE_ID.hex()}").content)
    [listed] = RunPage.model_validate_json(api.get("/api/v1/runs").content).runs

    nodes = [run.tree, *(node for below in run.tree.children for node in [below, *below.children])]
    told = {node.name: (node.counted, node.not_counted_because, node.same_call_as) for node in nodes}
    assert told == {
        "support-bot": (None, None, None),
        "agent": (False, "sum_of_calls_below", None),
        "framework": (False, "same_call_as", span_id(7).hex()),
        "client": (True, None, None),
        "look up": (None, None, None),
        "served": (False, "answered_from_record", None),
        "open": (False, "pending", None),
    }
    assert (run.llm_calls, run.calls_told_again, run.input_tokens) == (1, 1, 100)
    assert (listed.llm_calls, listed.calls_told_again, listed.input_tokens) == (1, 1, 100)


def test_runs_come_newest_first_and_page_by_page(api: TestClient, insert: Insert) -> None:
    chat: Attributes = {semconv.GEN_AI_OPERATION_NAME: "chat"}
    spans = [(f"run {n}", n.to_bytes(16, "big"), START + n) for n in range(1, 6)]
    insert(*[plain_span(name, trace_id=id_, start=start, attributes=chat) for name, id_, start in spans])

    pages: list[list[str]] = []
    cursor: str | None = None
    while cursor is not None or not pages:
        page = RunPage.model_validate_json(
            api.get("/api/v1/runs", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).content
        )
        pages.append([run.name for run in page.runs])
        cursor = page.next_cursor

    assert pages == [["run 5", "run 4"], ["run 3", "run 2"], ["run 1"]]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"status": "failed"}, ["support"]),
        ({"status": "completed"}, ["other"]),
        ({"name": "other"}, ["other"]),
        ({"service": "support-bot"}, ["other", "support"]),
        ({"kind": "agent"}, ["support"]),
        ({"kind": "run"}, ["support"]),
        ({"user_id": "nobody"}, []),
        ({"start": str(START + 1)}, ["other"]),
        ({"end": str((START + 1000) // 1000)}, ["support"]),
        ({"start": "2026-09-21T14:13:21Z"}, []),
    ],
)
def test_runs_are_filtered(api: TestClient, insert: Insert, filters: dict[str, str], names: list[str]) -> None:
    insert(*failed_run(), plain_span("other", trace_id=bytes([7] * 16), start=START + 1000))

    runs = api.get("/api/v1/runs", params={"kind": "any", **filters}).json()["runs"]

    assert [run["name"] for run in runs] == names


def test_a_run_that_has_not_ended_is_shown_from_its_pending_row(api: TestClient, insert: Insert) -> None:
    insert(recorded.pending_run(), recorded.plan_step())

    run = RunView.model_validate_json(api.get(f"/api/v1/runs/{RUN_ID}").content)

    assert run.status == "incomplete"
    assert (run.tree.kind, run.tree.is_pending, run.tree.status) == ("run", True, "incomplete")
    assert [child.name for child in run.tree.children] == ["chat plan"]


def test_a_run_that_ends_while_it_is_read_is_told_as_it_was(
    api: TestClient, insert: Insert, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(recorded.pending_run(), recorded.plan_step(), received=time.time_ns())
    get_outline = TraceReader.get_outline

    def ends_meanwhile(reader: TraceReader, project: str, run_id: str) -> list[SpanRow]:
        spans = get_outline(reader, project, run_id)
        insert(*failed_run())
        return spans

    monkeypatch.setattr(TraceReader, "get_outline", ends_meanwhile)
    run = RunView.model_validate_json(api.get(f"/api/v1/runs/{RUN_ID}").content)

    assert (run.status, run.tree.status, run.error) == ("running", "running", None)


def test_a_run_of_which_only_inner_spans_have_come_is_shown_all_the_same(api: TestClient, insert: Insert) -> None:
    insert(recorded.plan_step(), plan := plain_span("orphan", id_=bytes([9] * 8), parent_id=bytes([8] * 8)))

    run = RunView.model_validate_json(api.get(f"/api/v1/runs/{RUN_ID}").content)

    assert (run.status, run.span_count, run.tree.is_orphan) == ("incomplete", 2, True)
    assert {run.tree.name, *(child.name for child in run.tree.children)} == {"chat plan", plan.name}


def test_a_cancelled_try_is_shown_as_cancelled(api: TestClient, insert: Insert) -> None:
    insert(
        run_span(),
        step_span("fetch", number=1, attributes={semconv.STEP_STATUS: "cancelled"}),
        plain_span(
            "fetch",
            id_=span_id(2),
            parent_id=span_id(1),
            attributes={semconv.KIND: "attempt", semconv.ATTEMPT_N: 1, semconv.ATTEMPT_STATUS: "cancelled"},
        ),
    )

    run = RunView.model_validate_json(api.get(f"/api/v1/runs/{TRACE_ID.hex()}").content)

    [step] = run.tree.children
    assert (step.status, [attempt.status for attempt in step.children]) == ("cancelled", ["cancelled"])


def test_attributes_come_back_in_their_own_types(api: TestClient, insert: Insert) -> None:
    sent: dict[str, Value] = {
        "text": "ü\x00\n",
        "int": -(2**63),
        "double": 1.0,
        "bool": True,
        "strings": ["a", "b"],
        "ints": [1, 2**60],
        "map": {"a": [1.5, None, {"b": b"\x00\xff"}]},
        "bytes": b"\x00\xff",
        "empty": None,
        "nan": float("nan"),
        "infinite": float("-inf"),
    }
    insert(plain_span("typed", attributes=sent))

    answer = api.get(f"/api/v1/traces/{RUN_ID}")

    trace = TraceView.model_validate_json(answer.content)
    assert trace.spans[0].attributes == {
        **sent,
        "map": {"a": [1.5, None, {"b": {"$bytes": "AP8="}}]},
        "bytes": {"$bytes": "AP8="},
        "nan": {"$double": "NaN"},
        "infinite": {"$double": "-Infinity"},
    }
    assert b'"double":1.0' in answer.content
    assert trace.spans[0].start_time == "2026-09-21T14:13:20.000000000Z"


def test_ids_are_read_in_any_case_and_without_leading_zeros(api: TestClient, insert: Insert) -> None:
    insert(plain_span("short", trace_id=(0xABC).to_bytes(16, "big")))

    assert api.get("/api/v1/traces/ABC").json()["trace_id"] == "0" * 29 + "abc"


def test_checkpoints_are_listed_in_order(failed_run_api: TestClient) -> None:
    page = CheckpointPage.model_validate_json(failed_run_api.get(f"/api/v1/runs/{RUN_ID}/checkpoints").content)

    found = [(one.checkpoint_id, one.name, one.seq, one.auto) for one in page.checkpoints]
    assert found == [("c0", None, 0, True), ("c1", "planned", 4, False)]


@pytest.mark.parametrize(
    ("at", "view", "seq", "values"),
    [
        ("seq:0", "actual", 0, {"budget": 10}),
        ("end", "actual", 8, {"budget": 0, "plan": ["search", "pay"]}),
        ("end", "effective", 8, {"budget": 10, "plan": ["search", "pay"]}),
        ("failure", "actual", 5, {"budget": 10, "plan": ["search", "pay"]}),
        ("before:1111", "actual", 1, {"budget": 10}),
        ("after:1111", "actual", 3, {"budget": 10, "plan": ["search", "pay"]}),
        ("checkpoint:c1", "effective", 4, {"budget": 10, "plan": ["search", "pay"]}),
    ],
)
def test_state_is_told_at_any_point(
    failed_run_api: TestClient, at: str, view: str, seq: int, values: dict[str, Any]
) -> None:
    answer = failed_run_api.get(f"/api/v1/runs/{RUN_ID}/state", params={"at": at, "view": view})

    state = StateAnswer.model_validate_json(answer.content)
    assert (state.at, state.at_seq, state.values) == (at, seq, {"run": values})


def test_state_is_narrowed_to_a_key(failed_run_api: TestClient) -> None:
    url = f"/api/v1/runs/{RUN_ID}/state"

    assert failed_run_api.get(url, params={"key": "budget"}).json()["values"] == {"run": {"budget": 0}}
    assert failed_run_api.get(url, params={"key": "nothing"}).status_code == 404


@pytest.mark.parametrize("lost", [0, 1, 2, 3, 4])
def test_a_lost_span_makes_state_a_conflict_that_names_it(api: TestClient, insert: Insert, lost: int) -> None:
    spans = failed_run()
    del spans[lost]
    insert(*spans)

    answer = api.get(f"/api/v1/runs/{RUN_ID}/state")

    assert answer.status_code == 409
    assert answer.json()["gap"]["missing_numbers"] == {"c0ffee00": [lost + 1]}
    assert f"number {lost + 1} of process c0ffee00" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/v1/runs/xyz", 400, "'xyz' is not a run id"),
        ("/api/v1/runs/000", 400, "nothing but zeros"),
        (f"/api/v1/traces/{'a' * 33}", 400, "1 to 32 hexadecimal digits"),
        ("/api/v1/runs/abc", 404, f"no run or trace {'abc':0>32}"),
        ("/api/v1/traces/abc", 404, "no run or trace"),
        ("/api/v1/runs/abc/state", 404, "no run or trace"),
        ("/api/v1/runs/abc/checkpoints", 404, "no run or trace"),
        (f"/api/v1/runs/{RUN_ID}/state?at=lunch", 400, "at='lunch' is not a point of a run"),
        (f"/api/v1/runs/{RUN_ID}/state?at=seq:-1", 400, "seq is a number from 0 on"),
        (f"/api/v1/runs/{RUN_ID}/state?at=end:2", 400, "is not a point of a run"),
        (f"/api/v1/runs/{RUN_ID}/state?at=before:77", 404, "no step with key 77"),
        (f"/api/v1/runs/{RUN_ID}/state?at=checkpoint:c9", 404, "no checkpoint c9"),
        (f"/api/v1/runs/{RUN_ID}/state?view=mine", 422, "view"),
        ("/api/v1/runs?limit=0", 422, "limit"),
        ("/api/v1/runs?limit=1001", 422, "limit"),
        ("/api/v1/runs?status=great", 422, "status"),
        ("/api/v1/runs?start=yesterday", 400, "start: 'yesterday' is neither RFC 3339 nor a unix time"),
        ("/api/v1/runs?start=2026-01-01T00:00:00", 400, "no time zone"),
        ("/api/v1/runs?start=99999999999999999999999999", 400, "start"),
        ("/api/v1/runs?cursor=Zm9v", 400, "cursor"),
        ("/api/v1/runs?cursor=%F0%9F%98%80", 400, "cursor"),
        ("/api/v1/nothing", 404, "nothing is served at /api/v1/nothing"),
    ],
)
def test_what_cannot_be_answered_is_a_problem_document(
    failed_run_api: TestClient, path: str, status: int, words: str
) -> None:
    answer = failed_run_api.get(path)

    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.content)
    assert (answer.status_code, problem.status) == (status, status)
    assert words in problem.detail


def test_another_projects_run_is_not_there(api: TestClient, insert: Insert) -> None:
    insert(*failed_run(), project="secret")

    assert api.get(f"/api/v1/runs/{RUN_ID}").status_code == 404
    assert api.get("/api/v1/runs").json()["runs"] == []


def test_a_store_that_does_not_answer_is_a_503_with_a_time_to_retry(app: FastAPI, api: TestClient) -> None:
    app.state.store = Store(parse_address("clickhouse://nobody:none@127.0.0.1:1/none"))

    answer = api.get("/api/v1/runs")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.get("/healthz").status_code == 200


def test_metrics_are_prometheus_text(api: TestClient) -> None:
    assert "backtrail_spans_received_total 3.0" in api.get("/metrics").text


def test_a_trace_of_a_thousand_nested_spans_is_answered(api: TestClient, insert: Insert) -> None:
    def nested(depth: int) -> Span:
        parent = span_id(depth - 1) if depth > 1 else b""
        return plain_span(f"{depth}", id_=span_id(depth), parent_id=parent, start=START + depth)

    insert(*[nested(depth) for depth in range(1, 1001)])

    assert Run.model_validate_json(api.get(f"/api/v1/runs/{RUN_ID}").content).span_count == 1000
    assert len(api.get(f"/api/v1/traces/{RUN_ID}").json()["spans"]) == 1000
