"""OTLP/JSON: ids in hex, 64-bit integers as text, enumerations as numbers, fields that have their default left out.

grouped → **otlp_json** → routes/otlp.py
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias, TypeVar

from pydantic_core import to_json

from backtrail_query.otlp.as_sent import SentLog, SentSpan
from backtrail_query.otlp.grouped import Piece, Source
from backtrail_query.otlp.numbers import KINDS, STATUS_CODES
from backtrail_store.rows import AttributeValue, EventRow, LinkRow

JsonObject: TypeAlias = dict[str, object]
T = TypeVar("T", SentSpan, SentLog)


def spans_document(pieces: Iterable[Piece[SentSpan]]) -> Iterator[bytes]:
    """ExportTraceServiceRequest, piece by piece."""
    yield from _document("resourceSpans", (_grouped(piece, "scopeSpans", "spans", _span) for piece in pieces))


def logs_document(pieces: Iterable[Piece[SentLog]]) -> Iterator[bytes]:
    """ExportLogsServiceRequest, piece by piece."""
    yield from _document("resourceLogs", (_grouped(piece, "scopeLogs", "logRecords", _log_record) for piece in pieces))


def _document(name: str, pieces: Iterable[list[JsonObject]]) -> Iterator[bytes]:
    yield f'{{"{name}":['.encode()
    joint = b""
    for piece in pieces:
        yield joint + to_json(piece, inf_nan_mode="strings")[1:-1]
        joint = b","
    yield b"]}"


def _grouped(piece: Piece[T], scopes: str, items: str, write: Callable[[T], JsonObject]) -> list[JsonObject]:
    return [
        _set(
            resource=_source(one.resource),
            schemaUrl=one.resource.schema_url,
            **{
                scopes: [
                    _set(
                        scope=_source(each.scope),
                        schemaUrl=each.scope.schema_url,
                        **{items: [write(item) for item in each.items]},
                    )
                    for each in one.scopes
                ]
            },
        )
        for one in piece
    ]


def _source(source: Source) -> JsonObject:
    return _set(
        name=source.name,
        version=source.version,
        attributes=_attributes(source.attributes),
        droppedAttributesCount=source.dropped_attributes_count,
    )


def _span(span: SentSpan) -> JsonObject:
    row = span.row
    return _set(
        traceId=row.trace_id,
        spanId=span.span_id,
        traceState=row.trace_state,
        parentSpanId=span.parent_span_id,
        flags=row.flags,
        name=row.name,
        kind=KINDS[row.kind],
        startTimeUnixNano=str(span.start_time_unix_nano),
        endTimeUnixNano=str(span.end_time_unix_nano),
        attributes=_attributes(span.attributes),
        droppedAttributesCount=row.dropped_attributes_count,
        events=[_event(event) for event in row.events],
        droppedEventsCount=row.dropped_events_count,
        links=[_link(link) for link in row.links],
        droppedLinksCount=row.dropped_links_count,
        status=_set(message=row.status_message, code=STATUS_CODES[row.status_code]),
    )


def _event(event: EventRow) -> JsonObject:
    return _set(
        timeUnixNano=str(event.time_unix_nano),
        name=event.name,
        attributes=_sorted(event.attributes),
        droppedAttributesCount=event.dropped_attributes_count,
    )


def _link(link: LinkRow) -> JsonObject:
    return _set(
        traceId=link.trace_id,
        spanId=link.span_id,
        traceState=link.trace_state,
        attributes=_sorted(link.attributes),
        droppedAttributesCount=link.dropped_attributes_count,
        flags=link.flags,
    )


def _log_record(log: SentLog) -> JsonObject:
    row = log.row
    return _set(
        timeUnixNano=str(log.time_unix_nano),
        observedTimeUnixNano=str(log.observed_time_unix_nano),
        severityNumber=row.severity_number,
        severityText=row.severity_text,
        body=_value(row.body) if row.body is not None else None,
        attributes=_attributes(log.attributes),
        droppedAttributesCount=row.dropped_attributes_count,
        flags=row.flags,
        traceId=row.trace_id,
        spanId=row.span_id,
        eventName=row.event_name,
    )


def _sorted(attributes: Mapping[str, AttributeValue]) -> list[JsonObject]:
    return _attributes(dict(sorted(attributes.items())))


def _attributes(attributes: Mapping[str, AttributeValue]) -> list[JsonObject]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: AttributeValue) -> JsonObject:
    match value:
        case str():
            return {"stringValue": value}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case bytes():
            return {"bytesValue": b64encode(value).decode()}
        case dict():
            return {"kvlistValue": {"values": _attributes(value)}}
        case list():
            return {"arrayValue": {"values": [_value(element) for element in value]}}
        case _:
            return {}


def _set(**fields: object) -> JsonObject:
    """Without those that have their default."""
    return {name: value for name, value in fields.items() if value or value is False}
