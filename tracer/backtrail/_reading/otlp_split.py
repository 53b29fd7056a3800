"""An OTLP request of any size as requests of a bounded one, each span under its own resource and scope.

otlp_file → **otlp_split** → exchange → server
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from pydantic_core import to_json

from backtrail._reading.answers import OtlpForm, Signal

REQUEST_BYTES = 4 << 20

JsonObject: TypeAlias = dict[str, Any]

# The members of a JSON request, from the outermost to the items.
MEMBERS: dict[Signal, tuple[str, str, str]] = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
}

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OtlpRequest:
    signal: Signal
    form: OtlpForm
    body: bytes
    item_count: int


@dataclass(frozen=True, slots=True)
class Placed(Generic[R, S, T]):
    """A span or log record with what stands above it."""

    resource: R
    scope: S
    item: T


def split_json(document: JsonObject) -> Iterator[OtlpRequest]:
    for signal, (resources, scopes, items) in MEMBERS.items():
        every = (
            Placed(resource, scope, item)
            for resource in document.get(resources, [])
            for scope in resource.get(scopes, [])
            for item in scope.get(items, [])
        )
        for chosen in bounded(every, lambda one: len(to_json(one.item))):
            body = to_json({resources: _json_resources(chosen, scopes, items)})
            yield OtlpRequest(signal, "json", body, len(chosen))


def split_protobuf(request: ExportTraceServiceRequest) -> Iterator[OtlpRequest]:
    every = (
        Placed(resource_spans, scope_spans, span)
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    )
    for chosen in bounded(every, lambda one: one.item.ByteSize()):
        part = ExportTraceServiceRequest(resource_spans=_resource_spans(chosen))
        yield OtlpRequest("traces", "protobuf", part.SerializeToString(), len(chosen))


def bounded(
    every: Iterable[Placed[R, S, T]], size_of: Callable[[Placed[R, S, T]], int]
) -> Iterator[list[Placed[R, S, T]]]:
    """As many together as the limit allows, at least one."""
    chosen: list[Placed[R, S, T]] = []
    total = 0
    for one in every:
        size = size_of(one)
        if chosen and total + size > REQUEST_BYTES:
            yield chosen
            chosen, total = [], 0
        chosen.append(one)
        total += size
    if chosen:
        yield chosen


def by_source(chosen: Sequence[Placed[R, S, T]]) -> Iterator[tuple[R, list[tuple[S, list[T]]]]]:
    """Neighbours that stand under the same resource, and the same scope, told by being the same object."""
    resources: list[tuple[R, list[tuple[S, list[T]]]]] = []
    for one in chosen:
        if not resources or resources[-1][0] is not one.resource:
            resources.append((one.resource, []))
        scopes = resources[-1][1]
        if not scopes or scopes[-1][0] is not one.scope:
            scopes.append((one.scope, []))
        scopes[-1][1].append(one.item)
    yield from resources


def _json_resources(
    chosen: Sequence[Placed[JsonObject, JsonObject, JsonObject]], scopes: str, items: str
) -> list[JsonObject]:
    return [
        {**resource, scopes: [{**scope, items: of_scope} for scope, of_scope in of_resource]}
        for resource, of_resource in by_source(chosen)
    ]


def _resource_spans(chosen: Sequence[Placed[ResourceSpans, ScopeSpans, Span]]) -> Iterator[ResourceSpans]:
    for resource, of_resource in by_source(chosen):
        yield ResourceSpans(
            resource=resource.resource,
            schema_url=resource.schema_url,
            scope_spans=[
                ScopeSpans(scope=scope.scope, schema_url=scope.schema_url, spans=spans) for scope, spans in of_resource
            ],
        )
