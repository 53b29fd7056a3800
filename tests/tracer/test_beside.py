"""A program that has tracing already: its backend sees our spans, we see its spans, and neither harms the other."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

import backtrail
from backtrail import semconv
from tests.tracer.receiver import Receiver, receiving

PROGRAM = Path(__file__).with_name("beside_program.py")


def run_beside(receiver: Receiver, how: str) -> dict[str, dict[str, Any]]:
    """What the program's own backend got, by name."""
    command = [sys.executable, "-W", "error::RuntimeWarning", str(PROGRAM), receiver.url, how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Overriding" not in done.stderr, done.stderr
    return {span["name"]: span for span in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize("how", ["given", "global", "late", "logfire"])
def test_a_programs_own_backend_sees_the_whole_tree(how: str) -> None:
    with receiving() as receiver:
        theirs = run_beside(receiver, how)

        parents = {name: span["parent"] for name, span in theirs.items()}
        assert parents == {
            "POST /ask": None,
            "answer": None,
            "invoke_agent work": "answer",
            "look": "invoke_agent work",
            "GET /orders": "look",
        }
        assert {span["query"] for span in theirs.values()} == {None, "hello"}
        assert (theirs["look"]["status"], theirs["look"]["events"]) == ("ERROR", ["exception"])
        if how != "logfire":
            assert {span["service"] for span in theirs.values()} == {"theirs"}
        ours = [name for name in receiver.names() if name != "pending"]
        assert {"answer", "invoke_agent work", "look", "GET /orders"} <= set(ours)
        assert "POST /ask" not in ours
        ends = [span.name for span in receiver.spans if "backtrail.pending.of" not in {a.key for a in span.attributes}]
        assert [ends.count(name) for name in ("answer", "look", "GET /orders")] == [1, 1, 1]


@backtrail.step
def look(text: str) -> str:
    return text


@backtrail.run
def answer(query: str) -> str:
    return look(query)


def test_two_backends_get_everything_while_a_third_is_dead() -> None:
    with receiving() as backtrail_server, receiving() as jaeger:
        dead = OTLPSpanExporter("http://127.0.0.1:1/v1/traces", timeout=1)
        alive = OTLPSpanExporter(f"{jaeger.url}/v1/traces")
        backtrail.configure(backtrail_server.url, tracer_provider=TracerProvider(), exporters=[dead, alive])
        answer("hello")

        assert backtrail.flush()
        backtrail.shutdown()

        assert {"answer", "look"} <= set(backtrail_server.names())
        assert {"answer", "look"} <= set(jaeger.names())


def test_an_exporter_that_hangs_does_not_hold_the_program() -> None:
    with receiving() as backtrail_server, receiving() as jaeger:
        jaeger.may_answer.clear()
        exporter = OTLPSpanExporter(f"{jaeger.url}/v1/traces", timeout=30)
        backtrail.configure(backtrail_server.url, tracer_provider=TracerProvider(), exporters=[exporter])

        started = time.monotonic()
        answer("hello")
        backtrail.shutdown()

        assert time.monotonic() - started < 25, "the exporter waits for thirty seconds"
        assert {"answer", "look"} <= set(backtrail_server.names())


class Kept(SpanExporter):
    def __init__(self) -> None:
        self.names: list[str] = []
        self.is_shut_down = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.is_shut_down = True


def test_an_exporter_stays_open_as_long_as_a_setting_names_it() -> None:
    with receiving() as receiver:
        kept, provider = Kept(), TracerProvider()
        for name in ("first", "second"):
            backtrail.configure(receiver.url, service_name=name, tracer_provider=provider, exporters=[kept])
            answer(name)
            assert not kept.is_shut_down
        backtrail.shutdown()

        assert (kept.names.count("answer"), kept.is_shut_down) == (2, True)


class Broken(SpanProcessor):
    def on_start(self, span: Span, parent_context: Any = None) -> None:
        raise RuntimeError("at the start")

    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("at the end")


def test_a_span_processor_that_raises_reaches_neither_the_program_nor_the_server() -> None:
    with receiving() as receiver:
        backtrail.configure(receiver.url, tracer_provider=TracerProvider(), span_processors=[Broken()])

        assert answer("hello") == "hello"
        backtrail.shutdown()

        assert {"answer", "look"} <= set(receiver.names())


def test_a_long_payload_is_cut_for_other_backends_only() -> None:
    class Seen(SpanProcessor):
        result = ""

        def on_end(self, span: ReadableSpan) -> None:
            self.result = str((span.attributes or {}).get(semconv.STEP_RESULT, self.result))

    seen = Seen()
    with receiving() as receiver:
        backtrail.configure(receiver.url, tracer_provider=TracerProvider(), span_processors=[seen])
        answer("x" * 100_000)
        backtrail.shutdown()

        [result] = [a.value.string_value for s in receiver.spans for a in s.attributes if a.key == semconv.STEP_RESULT]
        assert len(result) == 100_002
        assert seen.result.startswith('{"$t":"truncated"')


def test_a_provider_that_takes_no_processors_is_refused() -> None:
    with pytest.raises(TypeError, match="a tracer_provider has add_span_processor"):
        backtrail.configure(tracer_provider=trace.NoOpTracerProvider())


RECONFIGURED = """
import sys
from opentelemetry import trace
import backtrail
@backtrail.run
def main():
    with trace.get_tracer("http client").start_as_current_span("GET"): pass
for name in ("first", "second"):
    backtrail.configure(sys.argv[1], service_name=name)
    main()
backtrail.shutdown()
"""


def test_our_own_provider_follows_a_second_configure() -> None:
    with receiving() as receiver:
        subprocess.run([sys.executable, "-c", RECONFIGURED, receiver.url], check=True, timeout=60)

        services = [
            {a.key: a.value.string_value for a in resource_spans.resource.attributes}["service.name"]
            for request in receiver.requests
            for resource_spans in request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
            if span.name == "GET"
        ]
        assert services == ["first", "second"]
