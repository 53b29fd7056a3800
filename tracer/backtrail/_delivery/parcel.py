"""Finished spans as the bytes of one request: what waits, is sent, is kept on disk, and is counted when it is lost.

    queue → clean → **Parcel** → delivery, spool

A parcel is an OTLP request by itself, and parcels joined end to end are one as well: protobuf adds their lists up.
What is in one can be read out of its bytes again, so nothing else has to be kept with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import ReadableSpan

from .clean import clean

MAX_PARCEL_SPANS = 512
MAX_PARCEL_BYTES = 4 << 20


@dataclass(slots=True, eq=False)
class Parcel:
    """Either bytes, or, for exporters that want them, spans. `failures` counts the errors of the server over it."""

    span_count: int
    size: int
    body: bytes = b""
    spans: Sequence[ReadableSpan] = ()
    failures: int = 0

    @classmethod
    def of(cls, body: bytes, span_count: int) -> Parcel:
        return cls(span_count, len(body), body)


def pack(spans: Sequence[ReadableSpan]) -> list[Parcel]:
    """These spans in their order, each parcel of bounded size; a span over the size has one for itself."""
    body = encode_spans([clean(span) for span in spans]).SerializePartialToString()
    if len(body) <= MAX_PARCEL_BYTES or len(spans) == 1:
        return [Parcel.of(body, len(spans))]
    del body
    half = len(spans) // 2
    return [*pack(spans[:half]), *pack(spans[half:])]


def join(parcels: Sequence[Parcel]) -> Parcel:
    return Parcel(
        sum(parcel.span_count for parcel in parcels),
        sum(parcel.size for parcel in parcels),
        b"".join(parcel.body for parcel in parcels),
        [span for parcel in parcels for span in parcel.spans],
    )


def halve(parcel: Parcel) -> list[Parcel]:
    """The same spans in two parcels, for a server that takes less at once than we send."""
    first, second = ExportTraceServiceRequest.FromString(parcel.body), ExportTraceServiceRequest()
    second.CopyFrom(first)
    half = parcel.span_count // 2
    _cut(first, range(half))
    _cut(second, range(half, parcel.span_count))
    return [
        Parcel.of(first.SerializePartialToString(), half),
        Parcel.of(second.SerializePartialToString(), parcel.span_count - half),
    ]


def spans_of(body: bytes) -> Iterator[Span]:
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope_spans in resource_spans.scope_spans:
            yield from scope_spans.spans


def _cut(request: ExportTraceServiceRequest, kept: range) -> None:
    place = 0
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            count = len(scope_spans.spans)
            del scope_spans.spans[max(min(kept.stop - place, count), 0) :]
            del scope_spans.spans[: max(min(kept.start - place, count), 0)]
            place += count
        _keep(resource_spans.scope_spans, lambda scope_spans: bool(scope_spans.spans))
    _keep(request.resource_spans, lambda resource_spans: bool(resource_spans.scope_spans))


def _keep(messages: Any, is_kept: Callable[[Any], bool]) -> None:
    for place in reversed(range(len(messages))):
        if not is_kept(messages[place]):
            del messages[place]
