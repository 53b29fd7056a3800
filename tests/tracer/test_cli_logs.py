"""What people see of a run's log records, against a real server."""

import httpx
import pytest

from backtrail import Client, cli
from tests.factories import ROOT_ID, START, Value, log_record, logs_request, span_id
from tests.query_api.recorded import GAP_ID
from tests.waiting import until

QUESTION: Value = [{"role": "user", "parts": [{"type": "text", "content": "which lamp?"}]}]
PAY = span_id(4)


@pytest.fixture(scope="module", autouse=True)
def recorded_logs(recorded_server: str) -> None:
    trace_id = bytes.fromhex(GAP_ID)
    records = logs_request(
        log_record("the\nbank \x1b[31mis slow", trace_id=trace_id, span_id=PAY, severity_text="WARN"),
        log_record(
            None,
            event_name="gen_ai.client.inference.operation.details",
            trace_id=trace_id,
            span_id=PAY,
            time=START + 1,
            attributes={"gen_ai.input.messages": QUESTION},
        ),
        log_record("timeout", severity=17, event_name="app.failed", trace_id=trace_id, span_id=PAY, time=START + 2),
        log_record({"beginning": True}, trace_id=trace_id, span_id=ROOT_ID),
        log_record("elsewhere", trace_id=trace_id, span_id=span_id(77)),
    )
    httpx.post(
        f"{recorded_server}/v1/logs",
        content=records.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
    ).raise_for_status()
    with Client(recorded_server) as client:
        until(lambda: len(client.logs(trace_id=GAP_ID).logs) == 5)


def show(endpoint: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert cli.main(["show", GAP_ID, "--endpoint", endpoint, *arguments]) == 0
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_log_records_are_counted_and_named_under_their_step(
    recorded_server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")

    out = show(recorded_server, capsys)

    assert [line for line in out if "log record" in line] == [
        "│  1 log record",
        "         3 log records, 1 error: gen_ai.client.inference.operation.details, app.failed",
        "+ 1 log record, of spans that are not here",
    ]


def test_verbose_tells_what_each_record_says(
    recorded_server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")

    out = show(recorded_server, capsys, "-v")

    said = "\n".join(line.strip(" │└─├") for line in out)
    assert "WARN  the bank �[31mis slow\n" in said
    assert 'gen_ai.client.inference.operation.details  [{"role": "user", "parts"' in said
    assert "app.failed  timeout\n" in said
    assert 'INFO  {"beginning": true}' in said


def test_the_client_finds_records_and_tells_them_with_their_spans(recorded_server: str) -> None:
    with Client(recorded_server) as client:
        page = client.logs(trace_id=GAP_ID, severity="ERROR")
        trace = client.trace(GAP_ID)
        run = client.run(GAP_ID)

    assert [record.body for record in page.logs] == ["timeout"]
    [pay] = [span for span in trace.spans if span.span_id == PAY.hex()]
    assert [record.event_name for record in pay.logs][1:] == ["gen_ai.client.inference.operation.details", "app.failed"]
    assert pay.logs[1].attributes["gen_ai.input.messages"] == QUESTION
    assert [record.body for record in trace.logs] == ["elsewhere"]
    assert [note.body for note in run.tree.logs] == [{"beginning": True}]
