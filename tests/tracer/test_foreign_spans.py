"""What other instrumentation does inside a run is part of it: the same trace, the same lineage."""

import subprocess
import sys

from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider

import backtrail
from backtrail import semconv
from backtrail._beside.foreign import ForeignSpans
from backtrail._spans.recorder import Recorder, current_recorder, set_current_recorder
from backtrail.testing import CapturedSpans
from tests.tracer.receiver import receiving

PROGRAM = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
FOREIGN = sys.argv[2] == "foreign"
if FOREIGN:
    trace.set_tracer_provider(TracerProvider())
import backtrail
backtrail.configure(sys.argv[1], service_name="host")
tracer = trace.get_tracer("http client")

@backtrail.agent
def work():
    with tracer.start_as_current_span("GET /orders") as span:
        span.set_attribute("http.status", 200)
        with backtrail.step("parse"):
            trace.get_current_span().set_attribute("mine", "yes")

@backtrail.run
def main(query): work()

main("the first run, which joins the provider")
with tracer.start_as_current_span("outside"):
    main("hello")
"""


def spans_by_name(kind: str) -> dict[str, dict[str, object]]:
    with receiving() as receiver:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, receiver.url, kind], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, dict[str, object]] = {}
        for span in receiver.spans:
            attributes = {a.key: a.value.string_value or a.value.int_value for a in span.attributes}
            if "backtrail.pending.of" not in attributes:
                found[span.name] = {**attributes, "id": span.span_id, "parent": span.parent_span_id}
        return found


def test_spans_inside_a_run_carry_its_lineage() -> None:
    spans = spans_by_name("ours")

    request, agent, step = spans["GET /orders"], spans["invoke_agent work"], spans["parse"]
    assert request[semconv.QUERY] == "hello"
    assert request[semconv.AGENT_KEY] == agent[semconv.AGENT_KEY]
    assert request[semconv.GEN_AI_AGENT_NAME] == "work"
    assert request["http.status"] == 200
    assert (request["parent"], step["parent"]) == (agent["id"], request["id"])
    assert step["mine"] == "yes"
    assert semconv.QUERY not in spans["outside"]


def test_of_a_programs_own_provider_only_the_runs_spans_are_taken() -> None:
    spans = spans_by_name("foreign")

    assert spans["GET /orders"][semconv.QUERY] == "hello"
    assert "outside" not in spans


class FullDisk(CapturedSpans):
    def on_end(self, span: ReadableSpan) -> None:
        raise OSError("full")


def test_what_we_cannot_take_of_another_library_does_not_reach_it() -> None:
    provider = TracerProvider()
    provider.add_span_processor(ForeignSpans(takes_all=True))

    previous = current_recorder()
    set_current_recorder(Recorder(sink=FullDisk()))
    try:
        with provider.get_tracer("http client").start_as_current_span("GET /orders") as span:
            pass
    finally:
        set_current_recorder(previous)

    assert not span.is_recording()


def test_a_span_with_more_attributes_than_its_provider_keeps_belongs_to_the_run_all_the_same() -> None:
    provider = TracerProvider(span_limits=SpanLimits(max_span_attributes=16))
    tracer = provider.get_tracer("wordy")

    @backtrail.run
    def main() -> None:
        with tracer.start_as_current_span("chat") as span:
            span.set_attributes({f"message.{number}": "text" for number in range(16)})

    with receiving() as receiver:
        backtrail.configure(receiver.url, tracer_provider=provider)
        main()
        backtrail.shutdown()

    (chat,) = [span for span in receiver.spans if span.name == "chat"]
    assert {semconv.TASK_ID, "message.15"} <= {attribute.key for attribute in chat.attributes}
