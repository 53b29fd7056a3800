"""A program that knows OpenTelemetry and not us: what its exporters send is what the API answers.

stock SDK → stock exporter (HTTP, gRPC; its own process) → real server → GET /api/v1/traces/{trace_id}
"""

import json
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import running_server

PROGRAM = Path(__file__).parent / "stock_program.py"


def send(protocol: str, endpoint: str) -> dict[str, Any]:
    environment = {"PATH": "/usr/bin:/bin", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    output = subprocess.check_output([sys.executable, str(PROGRAM), protocol], env=environment, text=True, timeout=60)
    sent: dict[str, Any] = json.loads(output)
    return sent


def fetch(url: str, trace_id: str, verify: ssl.SSLContext | bool = True) -> dict[str, dict[str, Any]]:
    """The trace's spans by id, once both are readable: the acknowledgement comes a moment before that."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = httpx.get(f"{url}/api/v1/traces/{trace_id}", verify=verify)
        if answer.is_success and len(answer.json()["spans"]) == 2:
            return {span["span_id"]: span for span in answer.json()["spans"]}
        time.sleep(0.05)
    raise AssertionError(f"trace {trace_id} is not readable: {answer.status_code} {answer.text}")


def typed(value: Any) -> Any:
    """The value with its types spelled out: in Python, 2 == 2.0 == True + 1 would hide a lost type."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value).__name__, value


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_stock_program_is_answered_with_what_it_sent(protocol: str, tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        sent = send(protocol, server.url if protocol == "http" else f"http://{server.grpc_target}")
        received = fetch(server.url, sent["trace_id"])

    assert len(sent["spans"]) == 2
    for span in sent["spans"]:
        answer = received[span["span_id"]]
        for event in answer["events"]:
            del event["time"]  # the same instant as time_unix_nano, in words
        for link in answer["links"]:
            assert link.pop("trace_state") == ""  # the Python exporter leaves it out
        for key, value in span.items():
            assert typed(answer[key]) == typed(value), key
        assert answer["service_name"] == "stock"
        assert answer["duration_ns"] == span["end_time_unix_nano"] - span["start_time_unix_nano"]
