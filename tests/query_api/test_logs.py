"""Log records over the API: with their span, with their trace, and on their own."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from backtrail_query.log_views import MOST_LOGS_OF_A_TRACE
from backtrail_query.models import LogPage, RunView, TraceView
from backtrail_store import Store
from tests.conftest import Insert
from tests.factories import (
    ROOT_ID,
    SECOND,
    START,
    TRACE_ID,
    Value,
    log_record,
    logs_batch_of,
    logs_request,
    run_span,
    span_id,
    step_span,
)

TRACE = TRACE_ID.hex()
QUESTION: Value = [{"role": "user", "parts": [{"type": "text", "content": "where is my lamp?"}]}]


@pytest.fixture
def recorded(insert: Insert, store: Store) -> None:
    """A run with one step; two records of the step, one of a span that never came, one of no trace."""
    insert(run_span(), step_span("chat"))
    store.insert(
        logs_batch_of(
            logs_request(
                log_record("looking", span_id=span_id(1), severity=5, severity_text="DEBUG"),
                log_record(
                    None,
                    event_name="gen_ai.client.inference.operation.details",
                    span_id=span_id(1),
                    time=START + 1,
                    attributes={"gen_ai.input.messages": QUESTION, "gen_ai.system": b"\x00"},
                ),
                log_record("of a span unknown", span_id=span_id(99), time=START + 2),
                log_record("of no trace", trace_id=b"", span_id=b"", time=START + SECOND, severity=17),
            )
        )
    )


@pytest.mark.usefixtures("recorded")
def test_a_trace_tells_each_record_with_its_span_and_the_others_beside(api: TestClient) -> None:
    answer = api.get(f"/api/v1/traces/{TRACE}")

    trace = TraceView.model_validate_json(answer.content)
    of_spans = {span.name: [record.body or record.event_name for record in span.logs] for span in trace.spans}
    assert of_spans == {
        "support-bot": [],
        "chat": ["looking", "gen_ai.client.inference.operation.details"],
    }
    assert [record.body for record in trace.logs] == ["of a span unknown"]
    details = trace.spans[1].logs[1]
    assert details.attributes == {"gen_ai.input.messages": QUESTION, "gen_ai.system": {"$bytes": "AA=="}}
    assert not trace.has_more_logs


@pytest.mark.usefixtures("recorded")
def test_a_runs_tree_tells_records_in_short(api: TestClient) -> None:
    answer = api.get(f"/api/v1/runs/{TRACE}")

    run = RunView.model_validate_json(answer.content)
    [step] = run.tree.children
    assert [(note.severity_text, note.event_name, note.body) for note in step.logs] == [
        ("DEBUG", None, "looking"),
        ("INFO", "gen_ai.client.inference.operation.details", None),
    ]
    assert [note.body for note in run.logs] == ["of a span unknown"]
    assert run.tree.logs == []


def test_records_of_a_trace_without_spans_are_told_too(api: TestClient, store: Store) -> None:
    store.insert(logs_batch_of(logs_request(log_record("alone"))))

    trace = TraceView.model_validate_json(api.get(f"/api/v1/traces/{TRACE}").content)

    assert (trace.spans, [record.body for record in trace.logs]) == ([], ["alone"])


def test_of_a_trace_with_very_many_records_the_first_are_told(api: TestClient, insert: Insert, store: Store) -> None:
    insert(run_span())
    many = (log_record(number, time=START + number) for number in range(MOST_LOGS_OF_A_TRACE + 1))
    store.insert(logs_batch_of(logs_request(*many)))

    trace = TraceView.model_validate_json(api.get(f"/api/v1/traces/{TRACE}").content)

    [span] = trace.spans
    assert [record.body for record in span.logs] == list(range(MOST_LOGS_OF_A_TRACE))
    assert trace.has_more_logs
    assert api.get(f"/api/v1/runs/{TRACE}").json()["has_more_logs"]


@pytest.mark.usefixtures("recorded")
def test_records_are_listed_newest_first_by_what_is_asked(api: TestClient) -> None:
    def found(**asked: str) -> list[Any]:
        page = LogPage.model_validate_json(api.get("/api/v1/logs", params=asked).content)
        assert page.next_cursor is None
        return [record.body for record in page.logs]

    assert found() == ["of no trace", "of a span unknown", None, "looking"]
    assert found(trace_id=TRACE.upper(), span_id=span_id(1).hex()) == [None, "looking"]
    assert found(span_id="1") == [None, "looking"]
    assert found(severity="info") == ["of no trace", "of a span unknown", None]
    assert found(severity="17") == ["of no trace"]
    assert found(service="support-bot", event_name="gen_ai.client.inference.operation.details") == [None]
    assert found(text="Lamp") == [None]
    assert found(start=str(START + 1000)) == ["of no trace"]
    assert found(end=str(START + 1000)) == ["of a span unknown", None, "looking"]


@pytest.mark.usefixtures("recorded")
def test_a_cursor_goes_on_where_the_page_before_ended(api: TestClient) -> None:
    bodies: list[Any] = []
    params: dict[str, Any] = {"limit": 3}
    while True:
        page = LogPage.model_validate_json(api.get("/api/v1/logs", params=params).content)
        bodies += [record.body for record in page.logs]
        if page.next_cursor is None:
            break
        params["cursor"] = page.next_cursor

    assert bodies == ["of no trace", "of a span unknown", None, "looking"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"trace_id": "xyz"}, "not a run id"),
        ({"span_id": ROOT_ID.hex() + "0"}, "not a span id"),
        ({"severity": "LOUD"}, "TRACE, DEBUG"),
        ({"severity": "25"}, "number up to 24"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"start": "yesterday"}, "RFC 3339"),
    ],
)
def test_t36_what_cannot_be_asked_is_told(api: TestClient, asked: dict[str, str], said: str) -> None:
    answer = api.get("/api/v1/logs", params=asked)

    assert answer.status_code == 400
    assert said in answer.json()["detail"]
