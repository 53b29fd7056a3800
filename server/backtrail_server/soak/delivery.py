"""How a run travels: in several requests, some compressed, some out of order, some more than once.

    runs → **delivery** → POST /v1/traces

Each way must come to the same rows.
"""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from backtrail import semconv
from backtrail_query.otlp.otlp_protobuf import key_values
from backtrail_server.soak.runs import SoakRun

OUT_OF_ORDER = 0.3
SENT_AGAIN = 0.3
SENT_AGAIN_TOGETHER = 0.2
COMPRESSED = 0.3


@dataclass(frozen=True, slots=True)
class Parcel:
    """One request. `again` says that its spans were in an earlier one."""

    body: bytes
    headers: dict[str, str]
    span_count: int
    again: bool = False


def parcels_of(run: SoakRun, *, seed: int, service: str) -> list[Parcel]:
    rnd = Random(f"{seed}:{run.number}:delivery")
    *inner, last = [*run.spans[1:], run.spans[0]]
    middle = rnd.randint(0, len(inner))
    groups = [group for group in (list(run.pending), inner[:middle], inner[middle:], [last]) if group]
    if rnd.random() < OUT_OF_ORDER:
        rnd.shuffle(groups)
    parcels = [parcel(group, service, compressed=rnd.random() < COMPRESSED) for group in groups]
    if rnd.random() < SENT_AGAIN:
        first = rnd.choice(parcels)
        parcels.append(Parcel(first.body, first.headers, first.span_count, again=True))
    if rnd.random() < SENT_AGAIN_TOGETHER:
        together = [*run.spans, *run.pending]
        rnd.shuffle(together)
        parcels.append(parcel(together, service, again=True))
    return parcels


def parcel(spans: Sequence[Span], service: str, *, compressed: bool = False, again: bool = False) -> Parcel:
    resource = Resource(attributes=key_values({semconv.SERVICE_NAME: service}))
    scope_spans = ScopeSpans(scope=InstrumentationScope(name="backtrail-soak"), spans=spans)
    resource_spans = ResourceSpans(resource=resource, scope_spans=[scope_spans])
    body = ExportTraceServiceRequest(resource_spans=[resource_spans]).SerializeToString()
    headers = {"content-type": "application/x-protobuf"}
    if compressed:
        body, headers = gzip.compress(body), {**headers, "content-encoding": "gzip"}
    return Parcel(body, headers, len(spans), again)
