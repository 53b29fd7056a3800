"""A program with tracing of its own beside ours. `test_beside.py` runs it and reads what it prints.

python beside_program.py URL given|global|late|logfire      the names of the spans its own backend got, with parents
"""

import json
import sys
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import backtrail

exporter = InMemorySpanExporter()


def set_up(url: str, how: str) -> trace.TracerProvider:
    if how == "logfire":
        import logfire

        logfire.configure(
            send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(exporter)]
        )
        backtrail.configure(url, service_name="host")
        return trace.get_tracer_provider()
    provider = TracerProvider(resource=Resource({"service.name": "theirs"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    if how == "global":
        trace.set_tracer_provider(provider)
    backtrail.configure(url, service_name="host", tracer_provider=provider if how == "given" else None)
    if how == "late":
        trace.set_tracer_provider(provider)
    return provider


def as_json(span: Any, names: dict[int, str]) -> dict[str, Any]:
    return {
        "name": span.name,
        "parent": names.get(span.parent.span_id, "?") if span.parent is not None else None,
        "service": span.resource.attributes["service.name"],
        "status": span.status.status_code.name,
        "query": span.attributes.get("backtrail.query"),
        "events": [event.name for event in span.events],
    }


def main() -> None:
    tracer = set_up(sys.argv[1], sys.argv[2]).get_tracer("http client")

    @backtrail.step
    def look() -> None:
        with tracer.start_as_current_span("GET /orders"):
            pass
        raise LookupError("no such order")

    @backtrail.agent
    def work() -> None:
        try:
            look()
        except LookupError:
            backtrail.get_current_run_context().set_state("found", False)

    @backtrail.run
    def answer(query: str) -> None:
        work()

    with tracer.start_as_current_span("POST /ask"):
        answer("hello")
    backtrail.shutdown()
    finished = exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in finished if span.context is not None}
    print(json.dumps([as_json(span, names) for span in finished]))


if __name__ == "__main__":
    main()
