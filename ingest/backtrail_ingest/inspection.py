"""Looks at every request, in C as far as possible: is it OTLP, is it flat, are its ids whole?

    receiver → admission → **inspection** → (flatten, rarely) → envelope → inbox → writer

About 1.5 µs for a 3 KB span. A request that passes is handed on as the bytes that came in.
"""

from google.protobuf.message import DecodeError, EncodeError, Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from backtrail_ingest.errors import UndecodableRequest
from backtrail_ingest.flatten import InspectedRequest
from backtrail_ingest.wire import FlatRequest

NO_TRACE_ID = bytes(16)
NO_SPAN_ID = bytes(8)


def inspect(body: bytes) -> InspectedRequest | None:
    """None if the request has to be rewritten, which takes a hundred times as long."""
    try:
        request = FlatRequest.FromString(body)
    except DecodeError as error:
        raise UndecodableRequest(f"{len(body)} bytes are not an ExportTraceServiceRequest: {error}") from error
    if body and not request.resource_spans:
        raise UndecodableRequest(f"{len(body)} bytes hold no resource_spans: they are not an ExportTraceServiceRequest")
    item_count = count_whole_spans(request)
    if item_count is not None and is_flat(request, len(body)):
        return InspectedRequest(body=body, item_count=item_count)
    return None


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
