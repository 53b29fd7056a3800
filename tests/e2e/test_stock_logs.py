"""Log records of a program that knows OpenTelemetry and not us: its own, and those of a GenAI instrumentation.

stock SDK → stock exporter (HTTP, gRPC; its own process) → real server → GET /api/v1/traces/{trace_id}, /api/v1/logs
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.stock_logs_program import ATTRIBUTES, BODIES
from tests.e2e.test_stock_otel import typed
from tests.providers import running_provider
from tests.serving import RunningServer

PROGRAM = Path(__file__).parent / "stock_logs_program.py"
DETAILS = "gen_ai.client.inference.operation.details"
OF_OUTER = len(BODIES)


def send(protocol: str, endpoint: str) -> dict[str, Any]:
    with running_provider() as provider:
        environment = {
            "PATH": "/usr/bin:/bin",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "EVENT_ONLY",
            "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT": "true",
        }
        command = [sys.executable, str(PROGRAM), protocol, provider.url]
        output = subprocess.check_output(command, env=environment, text=True, timeout=60)
    sent: dict[str, Any] = json.loads(output)
    return sent


def fetch(url: str, trace_id: str) -> dict[str, dict[str, Any]]:
    """The trace's spans by name, once they and all their records are readable."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = httpx.get(f"{url}/api/v1/traces/{trace_id}")
        if answer.is_success:
            spans = {span["name"]: span for span in answer.json()["spans"]}
            if len(spans) == 2 and sum(len(span["logs"]) for span in spans.values()) == OF_OUTER + 1:
                return spans
        time.sleep(0.05)
    raise AssertionError(f"trace {trace_id} is not readable: {answer.status_code} {answer.text}")


@pytest.fixture(scope="module", params=["http", "grpc"])
def sent(request: pytest.FixtureRequest, server: RunningServer) -> dict[str, Any]:
    return send(request.param, server.url if request.param == "http" else f"http://{server.grpc_target}")


def test_a_stock_programs_log_records_are_told_as_it_sent_them_beside_their_spans(
    sent: dict[str, Any], server: RunningServer
) -> None:
    outer = fetch(server.url, sent["trace_id"])["outer"]

    assert typed([record["body"] for record in outer["logs"]]) == typed(BODIES)
    for number, record in enumerate(outer["logs"]):
        assert record["time_unix_nano"] == sent["sent_at"] + number
        assert record["span_id"] == sent["span_id"]
        assert (record["severity_number"], record["severity_text"]) == (13, "WARNING")
        assert record["event_name"] == f"app.event.{number}"
        assert typed(record["attributes"]) == typed(ATTRIBUTES)
        assert record["service_name"] == "stock-logs"
        assert (record["scope"]["name"], record["scope"]["version"]) == ("stock.program", "1.0")


def test_messages_that_an_instrumentation_sends_as_an_event_are_found_with_their_span(
    sent: dict[str, Any], server: RunningServer
) -> None:
    chat = fetch(server.url, sent["trace_id"])["chat gpt-4o-mini"]

    [event] = chat["logs"]
    assert event["event_name"] == DETAILS
    [question], [answer] = (event["attributes"][f"gen_ai.{way}.messages"] for way in ("input", "output"))
    assert (question["role"], question["parts"][0]["content"]) == ("user", "hello")
    assert (answer["role"], answer["parts"][0]["content"]) == ("assistant", "You said: hello")
    asked = {"trace_id": sent["trace_id"], "event_name": DETAILS, "text": "you said"}
    [found] = httpx.get(f"{server.url}/api/v1/logs", params=asked).json()["logs"]
    assert found == event


def test_a_record_of_no_trace_is_found_by_its_service(sent: dict[str, Any], server: RunningServer) -> None:
    fetch(server.url, sent["trace_id"])

    found = httpx.get(f"{server.url}/api/v1/logs", params={"service": "stock-logs", "text": "of no trace"}).json()

    assert {(record["body"], record["trace_id"]) for record in found["logs"]} == {("of no trace", None)}


def test_every_log_record_is_accounted_for(sent: dict[str, Any], server: RunningServer) -> None:
    fetch(server.url, sent["trace_id"])

    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    counts = {
        name.removeprefix("backtrail_log_records_").removesuffix("_total"): float(value)
        for name, value in (line.rsplit(" ", 1) for line in lines if line.startswith("backtrail_log_records_"))
        if not name.endswith("_created")
    }
    assert counts["received"] >= OF_OUTER + 2
    assert counts["received"] == counts["stored"] + counts["duplicates"] + counts["quarantined"] + counts["waiting"]


def test_records_in_json_are_taken_by_the_same_rules(server: RunningServer) -> None:
    trace_id, now = "5b8efff798038103d269b633813fc6ff", time.time_ns()
    event = {
        "timeUnixNano": str(now),
        "severityNumber": 9,
        "eventName": "gen_ai.evaluation.result",
        "traceId": trace_id.upper(),
        "spanId": "EEE19B7EC3C1B174",
        "body": {"kvlistValue": {"values": [{"key": "score", "value": {"doubleValue": 1}}]}},
        "attributes": [{"key": "gen_ai.evaluation.name", "value": {"stringValue": "relevance"}}],
        "someFutureField": 1,
    }
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": [event]}]}]}

    answer = httpx.post(f"{server.url}/v1/logs", json=request)

    assert (answer.status_code, answer.json()) == (200, {})
    deadline = time.monotonic() + 20
    while not (found := httpx.get(f"{server.url}/api/v1/logs", params={"trace_id": trace_id}).json()["logs"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    [record] = found
    assert (record["time_unix_nano"], record["span_id"]) == (now, "eee19b7ec3c1b174")
    assert typed(record["body"]) == typed({"score": 1.0})
    assert record["attributes"] == {"gen_ai.evaluation.name": "relevance"}
