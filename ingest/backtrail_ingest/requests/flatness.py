"""Whether a request is flat and within the limits, found in C as far as possible: its count of spans, or None.

    inspection, flatten → **flatness**

Asked of whole requests at the door, and by flatten of each span of those that failed there: most of them are fine.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from google.protobuf.message import DecodeError, EncodeError, Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from backtrail_ingest.errors import UndecodableRequest
from backtrail_ingest.requests.limits import Limits
from backtrail_ingest.requests.wire import FlatLogsRequest, FlatRequest, SizesLogsRequest, SizesRequest
from backtrail_ingest.requests.wire_fields import delimited
from backtrail_ingest.signals import LOGS, TRACES, Signal

NO_TRACE_ID = bytes(16)
NO_SPAN_ID = bytes(8)
MANY_PARTS = 256  # events or links of a large span: more are not looked at one by one, others are waiting


def count_flat_spans(body: bytes, limits: Limits, *, known_fields_only: bool = False) -> int | None:
    request = FlatRequest.FromString(body)
    if known_fields_only:
        request.DiscardUnknownFields()
    if body and not request.resource_spans:
        raise UndecodableRequest(f"{len(body)} bytes hold no resource_spans: they are not an ExportTraceServiceRequest")
    count = count_whole_spans(request)
    if count is None or not is_flat(request, len(body)):
        return None
    return count if are_spans_within(request, SizesRequest.FromString(body), limits) else None


def count_whole_spans(request: ExportTraceServiceRequest) -> int | None:
    """How many spans there are; None as soon as one has a fault that only a rewrite can mend."""
    count = 0
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            spans = scope_spans.spans
            count += len(spans)
            for span in spans:
                trace_id, span_id, parent_id = span.trace_id, span.span_id, span.parent_span_id
                if len(trace_id) != 16 or len(span_id) != 8 or trace_id == NO_TRACE_ID or span_id == NO_SPAN_ID:
                    return None
                if parent_id and (len(parent_id) != 8 or parent_id == NO_SPAN_ID):
                    return None
                if not span.name:
                    return None
    return count


def is_flat(request: Message, size: int) -> bool:
    """True if no value lies deeper than a list of strings, no key stands twice among its attributes, and protobuf
    would write the same number of bytes.

    Another size means repeated or overridden fields, which readers other than protobuf's own may merge differently.
    """
    try:
        return len(request.SerializeToString()) == size
    except EncodeError:
        return False


def are_spans_within(request: ExportTraceServiceRequest, sizes: Any, limits: Limits) -> bool:
    """Spans are counted by their bytes first, which costs a tenth: what is small enough can break no limit."""
    for resource_spans, resource_sizes in zip(request.resource_spans, sizes.resource_spans, strict=True):
        if not is_head_harmless(resource_sizes.resource, resource_sizes.schema_url, limits):
            return False
        for scope_spans, scope_sizes in zip(resource_spans.scope_spans, resource_sizes.scope_spans, strict=True):
            if not is_head_harmless(scope_sizes.scope, scope_sizes.schema_url, limits):
                return False
            if not are_all_within(scope_spans.spans, scope_sizes.spans, limits, is_span_within):
                return False
    return True


def are_all_within(
    items: Sequence[Any], contents: Sequence[bytes], limits: Limits, is_within: Callable[[Any, int, Limits], bool]
) -> bool:
    """`contents` are the items' bytes: only what has too many of them is looked at."""
    if max(map(len, contents), default=0) <= limits.harmless_bytes:
        return True
    sized = zip(items, map(len, contents), strict=True)
    return all(size <= limits.harmless_bytes or is_within(item, size, limits) for item, size in sized)


def is_head_harmless(head: bytes, schema_url: str, limits: Limits) -> bool:
    return len(head) <= limits.harmless_head_bytes and len(schema_url) <= limits.name_length


def is_span_within(span: Any, size: int, limits: Limits) -> bool:
    return (
        size <= limits.value_bytes
        and len(span.events) <= min(limits.events, MANY_PARTS)
        and len(span.links) <= min(limits.links, MANY_PARTS)
        and are_short((span.name, span.trace_state), limits)
        and are_attributes_within(span.attributes, limits)
        and all(
            are_short((event.name,), limits) and are_attributes_within(event.attributes, limits)
            for event in span.events
        )
        and all(
            are_short((link.trace_state,), limits) and are_attributes_within(link.attributes, limits)
            for link in span.links
        )
    )


def are_attributes_within(attributes: Any, limits: Limits) -> bool:
    return len(attributes) <= limits.attributes and are_short(attributes, limits)


def are_short(names: Iterable[str], limits: Limits) -> bool:
    return all(len(name) <= limits.name_length for name in names)


def count_flat_records(body: bytes, limits: Limits, *, known_fields_only: bool = False) -> int | None:
    """No record is refused for its ids: OTLP has one with a trace id that is none taken as one without, and the store
    keeps what it was."""
    request = FlatLogsRequest.FromString(body)
    if known_fields_only:
        request.DiscardUnknownFields()
    if body and not request.resource_logs:
        raise UndecodableRequest(f"{len(body)} bytes hold no resource_logs: they are not an ExportLogsServiceRequest")
    if not is_flat(request, len(body)):
        return None
    return count_records_within(request, SizesLogsRequest.FromString(body), limits)


def count_records_within(request: Any, sizes: Any, limits: Limits) -> int | None:
    """How many records there are; None if one breaks a limit."""
    count = 0
    for resource_logs, resource_sizes in zip(request.resource_logs, sizes.resource_logs, strict=True):
        if not is_head_harmless(resource_sizes.resource, resource_sizes.schema_url, limits):
            return None
        for scope_logs, scope_sizes in zip(resource_logs.scope_logs, resource_sizes.scope_logs, strict=True):
            if not is_head_harmless(scope_sizes.scope, scope_sizes.schema_url, limits):
                return None
            count += len(scope_sizes.log_records)
            if not are_all_within(scope_logs.log_records, scope_sizes.log_records, limits, is_record_within):
                return None
    return count


def is_record_within(record: Any, size: int, limits: Limits) -> bool:
    return (
        size <= limits.value_bytes
        and are_short((record.severity_text, record.event_name), limits)
        and are_attributes_within(record.attributes, limits)
    )


def is_fine(item: bytes, limits: Limits, signal: Signal) -> bool:
    """One span or log record by itself. Fields nobody knows may be of the wrong type: it is not fine with them."""
    try:
        return COUNT_FLAT[signal](as_request(item), limits, known_fields_only=True) == 1
    except DecodeError:
        return False


def as_request(item: bytes) -> bytes:
    return delimited(1, delimited(2, delimited(2, item)))


class CountFlat(Protocol):
    """Raises DecodeError for what protobuf cannot read, UndecodableRequest for what has nothing of the signal."""

    def __call__(self, body: bytes, limits: Limits, *, known_fields_only: bool = False) -> int | None: ...


COUNT_FLAT: dict[Signal, CountFlat] = {TRACES: count_flat_spans, LOGS: count_flat_records}
