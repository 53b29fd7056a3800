"""The same call of a model, recorded by other people's instrumentations, comes out as the same messages."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from backtrail import Client
from tests.providers import running_provider
from tests.serving import RunningServer
from tests.waiting import until

PROGRAM = Path(__file__).with_name("instrumented_program.py")
GENAI = "opentelemetry.instrumentation.genai.openai"
SAID = [
    ("system", [("text", "be brief")]),
    ("user", [("text", "a lamp?")]),
    ("assistant", [("tool_call", {"q": "lamp"})]),
    ("tool", [("tool_call_response", {"hits": 1})]),
    ("user", [("text", "which?")]),
]


def turns(server: RunningServer, trace_id: str) -> list[object]:
    found: list[object] = httpx.get(f"{server.url}/api/v1/traces/{trace_id}/messages").json().get("turns", [])
    return found


@pytest.mark.parametrize(
    ("instrumentation", "capture", "source"),
    [
        pytest.param("openinference.instrumentation.openai", "", "attribute", id="openinference"),
        pytest.param("opentelemetry.instrumentation.openai", "", "attribute", id="openllmetry"),
        pytest.param(GENAI, "SPAN_ONLY", "attribute", id="opentelemetry, attributes"),
        pytest.param(GENAI, "EVENT_ONLY", "log", id="opentelemetry, log records"),
    ],
)
def test_a_call_is_told_in_the_same_messages(
    server: RunningServer, instrumentation: str, capture: str, source: str
) -> None:
    with running_provider() as provider, Client(server.url) as client:
        environment = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.url,
            "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": capture,
            "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT": "true" if capture == "EVENT_ONLY" else "false",
        }
        command = [sys.executable, str(PROGRAM), instrumentation, provider.url]
        trace_id = subprocess.check_output(command, env=environment, text=True, timeout=60).strip()
        until(lambda: bool(turns(server, trace_id)))
        [turn] = client.messages(trace_id).turns
        span = client.span(trace_id, turn.span_id)

    told = [
        (
            message.role,
            [
                (part.type, part.get("content") or part.get("arguments") or part.get("response"))
                for part in message.parts
            ],
        )
        for message in turn.new_messages
    ]
    assert told == SAID
    [answer] = turn.output_messages
    [asked] = answer.parts
    assert (answer.role, answer.finish_reason, asked.type) == ("assistant", "tool_call", "tool_call")
    assert (asked.get("name"), asked.get("arguments")) == ("search", {"q": "Paris"})
    assert span.messages_from["input_messages"]["source"] == source
    assert [(tool["name"], tool["description"]) for tool in span.tool_definitions] == [("search", "finds")]
