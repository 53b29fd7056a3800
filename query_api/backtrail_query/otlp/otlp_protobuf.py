"""OTLP/protobuf, piece by piece: requests that follow one another are one request with more in it.

grouped → **otlp_protobuf** → routes/otlp.py
"""

from collections.abc import Iterable, Iterator, Mapping

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from backtrail_query.otlp.as_sent import SentLog, SentSpan
from backtrail_query.otlp.grouped import Piece, Source
from backtrail_query.otlp.numbers import KINDS, STATUS_CODES
from backtrail_store.rows import AttributeValue, EventRow, LinkRow, SpanRow


def spans_request(pieces: Iterable[Piece[SentSpan]]) -> Iterator[bytes]:
    for piece in pieces:
        yield _bytes(ExportTraceServiceRequest(resource_spans=_resource_spans(piece)))


def logs_request(pieces: Iterable[Piece[SentLog]]) -> Iterator[bytes]:
    for piece in pieces:
        yield _bytes(ExportLogsServiceRequest(resource_logs=_resource_logs(piece)))


def _bytes(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def _resource_spans(piece: Piece[SentSpan]) -> Iterator[ResourceSpans]:
    for one in piece:
        yield ResourceSpans(
            resource=_resource(one.resource),
            schema_url=one.resource.schema_url,
            scope_spans=[
                ScopeSpans(
                    scope=_scope(each.scope),
                    schema_url=each.scope.schema_url,
                    spans=[_span(item) for item in each.items],
                )
                for each in one.scopes
            ],
        )


def _resource_logs(piece: Piece[SentLog]) -> Iterator[ResourceLogs]:
    for one in piece:
        yield ResourceLogs(
            resource=_resource(one.resource),
            schema_url=one.resource.schema_url,
            scope_logs=[
                ScopeLogs(
                    scope=_scope(each.scope),
                    schema_url=each.scope.schema_url,
                    log_records=[_log_record(item) for item in each.items],
                )
                for each in one.scopes
            ],
        )


def _resource(source: Source) -> Resource:
    return Resource(attributes=key_values(source.attributes), dropped_attributes_count=source.dropped_attributes_count)


def _scope(source: Source) -> InstrumentationScope:
    return InstrumentationScope(
        name=source.name,
        version=source.version,
        attributes=key_values(source.attributes),
        dropped_attributes_count=source.dropped_attributes_count,
    )


def _span(span: SentSpan) -> Span:
    row = span.row
    return Span(
        trace_id=bytes.fromhex(row.trace_id),
        span_id=bytes.fromhex(span.span_id),
        trace_state=row.trace_state,
        parent_span_id=bytes.fromhex(span.parent_span_id),
        flags=row.flags,
        name=row.name,
        kind=KINDS[row.kind],  # type: ignore[arg-type]
        start_time_unix_nano=span.start_time_unix_nano,
        end_time_unix_nano=span.end_time_unix_nano,
        attributes=key_values(span.attributes),
        dropped_attributes_count=row.dropped_attributes_count,
        events=[_event(event) for event in row.events],
        dropped_events_count=row.dropped_events_count,
        links=[_link(link) for link in row.links],
        dropped_links_count=row.dropped_links_count,
        status=_status(row),
    )


def _status(row: SpanRow) -> Status | None:
    code = STATUS_CODES[row.status_code]
    return Status(message=row.status_message, code=code) if code or row.status_message else None  # type: ignore[arg-type]


def _event(event: EventRow) -> Span.Event:
    return Span.Event(
        time_unix_nano=event.time_unix_nano,
        name=event.name,
        attributes=_sorted(event.attributes),
        dropped_attributes_count=event.dropped_attributes_count,
    )


def _link(link: LinkRow) -> Span.Link:
    return Span.Link(
        trace_id=bytes.fromhex(link.trace_id),
        span_id=bytes.fromhex(link.span_id),
        trace_state=link.trace_state,
        attributes=_sorted(link.attributes),
        dropped_attributes_count=link.dropped_attributes_count,
        flags=link.flags,
    )


def _log_record(log: SentLog) -> LogRecord:
    row = log.row
    return LogRecord(
        time_unix_nano=log.time_unix_nano,
        observed_time_unix_nano=log.observed_time_unix_nano,
        severity_number=row.severity_number,  # type: ignore[arg-type]
        severity_text=row.severity_text,
        body=None if row.body is None else any_value(row.body),
        attributes=key_values(log.attributes),
        dropped_attributes_count=row.dropped_attributes_count,
        flags=row.flags,
        trace_id=bytes.fromhex(row.trace_id),
        span_id=bytes.fromhex(row.span_id),
        event_name=row.event_name,
    )


def _sorted(attributes: Mapping[str, AttributeValue]) -> list[KeyValue]:
    return key_values(dict(sorted(attributes.items())))


def key_values(attributes: Mapping[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def any_value(value: object) -> AnyValue:
    match value:
        case str():
            return AnyValue(string_value=value)
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
        case list():
            return AnyValue(array_value=ArrayValue(values=[any_value(element) for element in value]))
        case _:
            return AnyValue()
