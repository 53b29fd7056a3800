"""The same spans as OpenTelemetry's own Python exporter sends them: its encoder, its flags, and no words of ours.

otlp_bodies → **stock_bodies** → sender
"""

from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

Value = str | bool | int | float | list[str]
SCOPE = InstrumentationScope("opentelemetry.instrumentation.openai", "0.62.4")


def as_stock_exporter(content: bytes) -> bytes:
    """The request with these spans that `OTLPSpanExporter.export` would make of them, before compression."""
    [resource_spans] = ExportTraceServiceRequest.FromString(content).resource_spans
    resource = Resource.create({one.key: plain(one.value) for one in resource_spans.resource.attributes})
    spans = [readable(span, resource) for span in resource_spans.scope_spans[0].spans]
    return encode_spans(spans).SerializeToString()


def readable(span: Span, resource: Resource) -> ReadableSpan:
    trace_id = int.from_bytes(span.trace_id, "big")
    parent_id = int.from_bytes(span.parent_span_id, "big")
    return ReadableSpan(
        span.name,
        context=context(trace_id, int.from_bytes(span.span_id, "big")),
        parent=context(trace_id, parent_id) if parent_id else None,
        resource=resource,
        attributes=without_our_words({one.key: plain(one.value) for one in span.attributes}),
        kind=SpanKind.CLIENT if span.name.startswith("chat") else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, "failed") if span.status.code == 2 else Status(StatusCode.UNSET),
        start_time=span.start_time_unix_nano,
        end_time=span.end_time_unix_nano,
        instrumentation_scope=SCOPE,
    )


def context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def without_our_words(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {key: value for key, value in attributes.items() if not key.startswith("backtrail.")}


def plain(value: AnyValue) -> Value:
    if value.HasField("array_value"):
        return [element.string_value for element in value.array_value.values]
    found: Value = getattr(value, value.WhichOneof("value") or "string_value")
    return found
