"""OTLP requests for tests, with fixed ids and times, made by the classes OpenTelemetry generates from its schema."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from backtrail import semconv
from backtrail_ingest.envelope import Envelope
from backtrail_ingest.requests.flatten import rewrite
from backtrail_ingest.requests.inspected import InspectedRequest
from backtrail_ingest.requests.inspection import inspect
from backtrail_ingest.signals import LOGS, TRACES, Signal
from backtrail_store import Batch

TRACE_ID = bytes.fromhex("5b8efff798038103d269b633813fc60c")
ROOT_ID = bytes.fromhex("eee19b7ec3c1b174")
START = 1_790_000_000_000_000_000
SECOND = 1_000_000_000

Value = str | bool | int | float | bytes | None | Sequence["Value"] | Mapping[str, "Value"]
Attributes = Mapping[str, Value]


def any_value(value: Value) -> AnyValue:
    match value:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case Mapping():
            return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
        case _:
            return AnyValue(array_value=ArrayValue(values=[any_value(element) for element in value]))


def key_values(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def span_id(number: int) -> bytes:
    return number.to_bytes(8, "big")


def plain_span(
    name: str = "work",
    *,
    attributes: Attributes | None = None,
    trace_id: bytes = TRACE_ID,
    id_: bytes = ROOT_ID,
    parent_id: bytes = b"",
    start: int = START,
    duration: int = SECOND,
    status: Status.StatusCode.ValueType = Status.STATUS_CODE_UNSET,
    message: str = "",
    events: Sequence[Span.Event] = (),
    links: Sequence[Span.Link] = (),
) -> Span:
    """A span of anybody's: nothing in it says Backtrail."""
    return Span(
        trace_id=trace_id,
        span_id=id_,
        parent_span_id=parent_id,
        name=name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=start,
        end_time_unix_nano=start + duration,
        attributes=key_values(attributes or {}),
        status=Status(code=status, message=message),
        events=events,
        links=links,
    )


def run_span(name: str = "support-bot", *, attributes: Attributes | None = None, trace_id: bytes = TRACE_ID) -> Span:
    return plain_span(
        name,
        trace_id=trace_id,
        attributes={
            semconv.KIND: "run",
            semconv.RUN_NAME: name,
            semconv.RUN_STATUS: "completed",
            **(attributes or {}),
        },
    )


def step_span(
    name: str = "search",
    *,
    number: int = 1,
    parent_id: bytes = ROOT_ID,
    attributes: Attributes | None = None,
    trace_id: bytes = TRACE_ID,
) -> Span:
    return plain_span(
        name,
        trace_id=trace_id,
        id_=span_id(number),
        parent_id=parent_id,
        start=START + number * SECOND // 10,
        duration=SECOND // 20,
        attributes={
            semconv.KIND: "step",
            semconv.STEP_NAME: name,
            semconv.STEP_KIND: "tool",
            semconv.STEP_STATUS: "completed",
            **(attributes or {}),
        },
    )


def otlp_request(
    *spans: Span, resource: Attributes | None = None, scope: str = "test", version: str = "1.0"
) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=key_values(resource or {"service.name": "support-bot"})),
                scope_spans=[ScopeSpans(scope=InstrumentationScope(name=scope, version=version), spans=spans)],
            )
        ]
    )


def inspected(body: bytes, signal: Signal = TRACES) -> InspectedRequest:
    """What admission makes of a body."""
    return inspect(body, signal=signal) or rewrite(body, signal=signal)


def batch_of(*requests: ExportTraceServiceRequest, project: str = "default", received: int = START) -> Batch:
    """The bytes the writer would hand to the store for these requests."""
    envelopes = [
        Envelope.around(inspected(request.SerializeToString()), project=project, received_unix_nano=received)
        for request in requests
    ]
    body = b"".join(envelope.head + envelope.request for envelope in envelopes)
    return Batch([body], sha256(body).hexdigest())


def log_record(
    body: Value = "looked up order 7",
    *,
    event_name: str = "",
    attributes: Attributes | None = None,
    trace_id: bytes = TRACE_ID,
    span_id: bytes = ROOT_ID,
    time: int = START,
    observed: int = START + 1000,
    severity: int = 9,
    severity_text: str = "INFO",
) -> LogRecord:
    return LogRecord(
        time_unix_nano=time,
        observed_time_unix_nano=observed,
        severity_number=severity,  # type: ignore[arg-type]  # any number may come over the wire
        severity_text=severity_text,
        event_name=event_name,
        body=any_value(body),
        attributes=key_values(attributes or {}),
        trace_id=trace_id,
        span_id=span_id,
    )


def logs_request(
    *records: LogRecord, resource: Attributes | None = None, scope: str = "test", version: str = "1.0"
) -> ExportLogsServiceRequest:
    return ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(
                resource=Resource(attributes=key_values(resource or {"service.name": "support-bot"})),
                scope_logs=[ScopeLogs(scope=InstrumentationScope(name=scope, version=version), log_records=records)],
            )
        ]
    )


def logs_batch_of(
    *requests: ExportLogsServiceRequest | bytes, project: str = "default", received: int = START
) -> Batch:
    """The bytes the writer would hand to the store for these requests."""
    bodies = [request if isinstance(request, bytes) else request.SerializeToString() for request in requests]
    envelopes = [
        Envelope.around(inspected(body, LOGS), project=project, received_unix_nano=received) for body in bodies
    ]
    body = b"".join(envelope.head + envelope.request for envelope in envelopes)
    return Batch([body], sha256(body).hexdigest(), "logs")
