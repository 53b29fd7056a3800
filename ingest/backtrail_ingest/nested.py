"""The ordinary reason to rewrite a span: a value that lies deeper than columns do. In C but for that value.

    flatten → **nested** → flatten

Five times as fast as the walk on the wire, and good for nothing else: a span that is too large to be within every limit
by its length alone, whose text is not UTF-8, or that has any other fault is left to the walk.
"""

from collections.abc import MutableSequence
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from backtrail_ingest.flatness import as_request, count_whole_spans
from backtrail_ingest.limits import MOST_LEVELS, Limits
from backtrail_ingest.signals import TRACES, Signal
from backtrail_ingest.wire import SlicedLogsRequest, SlicedRequest
from backtrail_store.rows import AttributeValue
from backtrail_store.values import write_json

MOST_GROWTH = 6  # of a byte that becomes JSON: \\u0000


class TooDeep(Exception):
    """Protobuf's own readers go deeper than we do, by a little."""


def with_flat_values(item: bytes, limits: Limits, signal: Signal) -> bytes | None:
    """None if more is the matter with the span or log record than its values."""
    if len(item) > min(limits.harmless_bytes, limits.value_bytes // MOST_GROWTH):
        return None
    try:
        return _flat_span(item) if signal == TRACES else _flat_record(item)
    except (DecodeError, UnicodeDecodeError, TooDeep):
        return None


def _flat_span(item: bytes) -> bytes | None:
    request = SlicedRequest.FromString(as_request(item))
    if count_whole_spans(request) is None:
        return None
    span = request.resource_spans[0].scope_spans[0].spans[0]
    for attributes in (
        span.attributes,
        *(event.attributes for event in span.events),
        *(link.attributes for link in span.links),
    ):
        _flatten_attributes(attributes)
    return _written(span)


def _flat_record(item: bytes) -> bytes | None:
    record = SlicedLogsRequest.FromString(as_request(item)).resource_logs[0].scope_logs[0].log_records[0]
    _flatten_attributes(record.attributes)
    _flatten(record.body)
    return _written(record)


def _written(message: Any) -> bytes | None:
    """None if it has fields of the wrong type, which protobuf takes for unknown ones and ClickHouse for damage."""
    written: bytes = message.SerializeToString()
    message.DiscardUnknownFields()
    return written if message.ByteSize() == len(written) else None


def _flatten_attributes(attributes: MutableSequence[KeyValue]) -> None:
    """Of two values for one key the last counts, as in the SDKs."""
    last = {attribute.key: attribute for attribute in attributes}
    if len(last) < len(attributes):
        chosen = list(last.values())
        del attributes[:]
        attributes.extend(chosen)
    for attribute in attributes:
        _flatten(attribute.value)


def _flatten(value: AnyValue) -> None:
    """In a sliced message `array_value` and `kvlist_value` are bytes; JSON text takes the place of the map's."""
    match value.WhichOneof("value"):
        case "array_value" as which:
            elements = ArrayValue.FromString(getattr(value, which)).values
            if any(element.WhichOneof("value") != "string_value" for element in elements):
                _write(value, [_read(element, 2) for element in elements])
        case "kvlist_value" as which:
            _write(value, _read_map(KeyValueList.FromString(getattr(value, which)), 2))


def _write(value: AnyValue, plain: AttributeValue) -> None:
    setattr(value, "kvlist_value", write_json(plain).encode())  # noqa: B010  # the type checker knows it as a message


def _read(value: AnyValue, level: int) -> AttributeValue:
    which = value.WhichOneof("value")
    if which in ("array_value", "kvlist_value") and level > MOST_LEVELS:
        raise TooDeep
    match which:
        case "array_value":
            return [_read(element, level + 1) for element in value.array_value.values]
        case "kvlist_value":
            return _read_map(value.kvlist_value, level + 1)
        case None:
            return None
        case _:
            scalar: AttributeValue = getattr(value, which)
            return scalar


def _read_map(pairs: KeyValueList, level: int) -> AttributeValue:
    return {pair.key: _read(pair.value, level) for pair in pairs.values}
