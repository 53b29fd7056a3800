"""A program that uses OpenTelemetry as its manual says, and nothing of ours. `test_stock_otel.py` runs it.

python stock_program.py http|grpc      sends two spans and prints, as JSON, what it sent
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import Attributes

RESOURCE: Attributes = {"service.name": "stock", "service.instance.id": "a-1", "replicas": 3, "tags": ["blue", "grün"]}
ATTRIBUTES: Attributes = {
    "text": "plain",
    "text.empty": "",
    "text.unicode": "naïve 日本語 🦉\tتجربة\n\"quoted\" \\ 'single'",
    "text.number": "42",
    "text.json": '{"not": ["parsed"]}',
    "int": 42,
    "int.zero": 0,
    "int.negative": -7,
    "int.largest": 2**63 - 1,
    "int.smallest": -(2**63),
    "int.above_2_53": 2**53 + 1,
    "float": 3.25,
    "float.whole": 2.0,
    "float.tiny": 5e-324,
    "float.huge": 1.7976931348623157e308,
    "float.third": 1 / 3,
    "bool.true": True,
    "bool.false": False,
    "list.text": ["a", "", "ü,'\"\\"],
    "list.one": ["only"],
    "list.int": [1, -2, 2**63 - 1],
    "list.float": [0.5, 1.0, -1e-9],
    "list.bool": [True, False],
    "list.mixed": [1, 1.0, "1", True],
    "list.lists": [[1, 2], [], ["x"]],
    "map": {"user": {"id": 7, "tags": ["a", "b"], "score": 1.0, "admin": False}, "note": "ü"},
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "hallo"}]}]',
    "__proto__.polluted": "no",
}
EVENT: Attributes = {"attempt": 2, "wait": 0.5, "reasons": ["slow", "late"], "codes": [429, 503], "last": False}
LINK: Attributes = {"why": "earlier try", "number": 1, "weights": [0.25, 0.75]}


def exporter(protocol: str) -> SpanExporter:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

        return GrpcExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

    return HttpExporter()


def plain(value: Any) -> Any:
    """Attributes as JSON has them: the SDK keeps lists as tuples."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def as_sent(span: ReadableSpan) -> dict[str, Any]:
    assert span.context is not None
    assert span.instrumentation_scope is not None
    return {
        "span_id": f"{span.context.span_id:016x}",
        "parent_span_id": f"{span.parent.span_id:016x}" if span.parent else None,
        "name": span.name,
        "kind": span.kind.name.lower(),
        "status": {"code": span.status.status_code.name.lower(), "message": span.status.description or ""},
        "start_time_unix_nano": span.start_time,
        "end_time_unix_nano": span.end_time,
        "attributes": plain(span.attributes),
        "resource": plain(span.resource.attributes),
        "scope": {
            "name": span.instrumentation_scope.name,
            "version": span.instrumentation_scope.version,
            "schema_url": span.instrumentation_scope.schema_url or "",
            "attributes": plain(span.instrumentation_scope.attributes),
            "dropped_attributes_count": 0,
        },
        "events": [
            {
                "time_unix_nano": event.timestamp,
                "name": event.name,
                "attributes": plain(event.attributes),
                "dropped_attributes_count": 0,
            }
            for event in span.events
        ],
        "links": [
            {
                "trace_id": f"{link.context.trace_id:032x}",
                "span_id": f"{link.context.span_id:016x}",
                "attributes": plain(link.attributes),
                "dropped_attributes_count": 0,
                "flags": 0x300,  # that it is remote, and that this is known
            }
            for link in span.links
        ],
    }


def main(protocol: str) -> None:
    provider = TracerProvider(resource=Resource.create(RESOURCE))
    provider.add_span_processor(BatchSpanProcessor(exporter(protocol)))
    tracer = provider.get_tracer("stock.program", "1.0", "https://example.com/1.0", {"team": "search"})
    elsewhere = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))

    links = [Link(elsewhere, LINK)]
    with (
        tracer.start_as_current_span("outer", kind=SpanKind.SERVER) as outer,
        tracer.start_as_current_span("inner", kind=SpanKind.CLIENT, attributes=ATTRIBUTES, links=links) as inner,
    ):
        inner.add_event("retry", EVENT)
        inner.set_status(Status(StatusCode.ERROR, "no answer"))
    provider.shutdown()

    assert "backtrail" not in sys.modules
    trace_id = f"{outer.get_span_context().trace_id:032x}"
    print(json.dumps({"trace_id": trace_id, "spans": [as_sent(span) for span in (outer, inner)]}))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1])
