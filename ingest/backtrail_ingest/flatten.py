"""Nested attribute values become JSON text and faulty spans are left out, before the inbox.

    receiver → admission → inspection → **flatten** → envelope → inbox → writer

Only requests that hold a map, a list of anything but strings, a key twice, or a span that cannot be stored come here;
the others are never taken apart. One function for each level OTLP itself has.
"""

from collections import Counter
from collections.abc import MutableSequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from backtrail_ingest.errors import UndecodableRequest
from backtrail_ingest.signals import TRACES, Signal
from backtrail_ingest.wire import SlicedRequest
from backtrail_store.rows import AttributeValue
from backtrail_store.values import write_json

NAME_SHOWN = 100
FAULTS_NAMED = 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one span was left out: the field at fault, and a sentence by which its sender can find the span."""

    reason: Literal["trace_id", "span_id", "parent_span_id", "name"]
    sentence: str


@dataclass(slots=True)
class Faults:
    """All are counted and the first are named: a request may hold a million."""

    counts: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        self.counts[fault.reason] += 1
        if len(self.named) < FAULTS_NAMED:
            self.named.append(fault.sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedRequest:
    """A body the store can take, how many spans or log records it holds, and what was wrong with those left out."""

    body: bytes
    item_count: int
    signal: Signal = TRACES
    faults: Faults = field(default_factory=Faults)


def rewrite(body: bytes) -> InspectedRequest:
    faults = Faults()
    item_count = 0
    try:
        request: ExportTraceServiceRequest = SlicedRequest.FromString(body)
        if is_another_signal(request):
            raise UndecodableRequest(f"{len(body)} bytes are not an ExportTraceServiceRequest: no span has a trace_id")
        for resource_spans in request.resource_spans:
            flatten_resource_spans(resource_spans, faults)
            item_count += sum(len(scope_spans.spans) for scope_spans in resource_spans.scope_spans)
    except (DecodeError, UnicodeDecodeError) as error:
        raise UndecodableRequest(f"{len(body)} bytes are not an ExportTraceServiceRequest: {error}") from error
    return InspectedRequest(body=request.SerializeToString(), item_count=item_count, faults=faults)


def is_another_signal(request: ExportTraceServiceRequest) -> bool:
    """Protobuf reads log records as spans that have next to nothing."""
    spans = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
    return bool(spans) and not any(span.trace_id for span in spans)


def flatten_resource_spans(resource_spans: ResourceSpans, faults: Faults) -> None:
    flatten_attributes(resource_spans.resource.attributes)
    for scope_spans in resource_spans.scope_spans:
        flatten_scope_spans(scope_spans, faults)


def flatten_scope_spans(scope_spans: ScopeSpans, faults: Faults) -> None:
    flatten_attributes(scope_spans.scope.attributes)
    whole = []
    for span in scope_spans.spans:
        if fault := find_fault(span):
            faults.add(fault)
        else:
            flatten_span(span)
            whole.append(span)
    keep(scope_spans.spans, whole)


def keep(messages: MutableSequence[T], chosen: list[T]) -> None:
    """Taking them out one by one would move the others as often."""
    if len(chosen) < len(messages):
        del messages[:]
        messages.extend(chosen)


def find_fault(span: Span) -> Fault | None:
    name = f"span {span.name[:NAME_SHOWN]!r}"
    if len(span.trace_id) != 16 or not any(span.trace_id):
        return Fault("trace_id", f"{name}: trace_id {describe_id(span.trace_id)}, wanted 16 bytes, not all zero")
    if len(span.span_id) != 8 or not any(span.span_id):
        return Fault("span_id", f"{name}: span_id {describe_id(span.span_id)}, wanted 8 bytes, not all zero")
    if len(span.parent_span_id) not in (0, 8):
        return Fault("parent_span_id", f"{name}: parent_span_id {describe_id(span.parent_span_id)}, wanted 8 bytes")
    if not span.name:
        return Fault("name", f"the span with span_id {span.span_id.hex()} has no name")
    return None


def describe_id(value: bytes) -> str:
    shown = value[:32].hex() + ("…" if len(value) > 32 else "")
    return f"of {len(value)} bytes ({shown})" if value else "missing"


def flatten_span(span: Span) -> None:
    if not any(span.parent_span_id):
        span.ClearField("parent_span_id")
    flatten_attributes(span.attributes)
    for event in span.events:
        flatten_attributes(event.attributes)
    for link in span.links:
        flatten_attributes(link.attributes)


def flatten_attributes(attributes: MutableSequence[KeyValue]) -> None:
    """Of two values for one key the last counts, as in the SDKs."""
    keep(attributes, list({attribute.key: attribute for attribute in attributes}.values()))
    for attribute in attributes:
        flatten_value(attribute.value)


def flatten_value(sliced: AnyValue) -> None:
    """In a sliced request `array_value` and `kvlist_value` are bytes; JSON text takes the place of the map's."""
    which = sliced.WhichOneof("value")
    if which == "array_value":
        elements = ArrayValue.FromString(getattr(sliced, which)).values
        if any(element.WhichOneof("value") != "string_value" for element in elements):
            write_text(sliced, [plain_value(element) for element in elements])
    elif which == "kvlist_value":
        write_text(sliced, plain_map(KeyValueList.FromString(getattr(sliced, which))))


def write_text(sliced: AnyValue, value: AttributeValue) -> None:
    setattr(sliced, "kvlist_value", write_json(value).encode())  # noqa: B010  # the type checker knows the field as a message


def plain_value(value: AnyValue) -> AttributeValue:
    match value.WhichOneof("value"):
        case "array_value":
            return [plain_value(element) for element in value.array_value.values]
        case "kvlist_value":
            return plain_map(value.kvlist_value)
        case None:
            return None
        case which:
            scalar: AttributeValue = getattr(value, which)
            return scalar


def plain_map(pairs: KeyValueList) -> AttributeValue:
    return {pair.key: plain_value(pair.value) for pair in pairs.values}
