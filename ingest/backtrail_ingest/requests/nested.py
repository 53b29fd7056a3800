"""The ordinary reason to rewrite a span: a value that lies deeper than columns do. In C but for that value.

    flatten → **nested** (→ nested_values) → flatten

Five times as fast as the walk on the wire, and good for nothing else: a span that is too large to be within every limit
by its length alone, whose text is not UTF-8, or that has any other fault is left to the walk.
"""

from collections.abc import MutableSequence
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from backtrail_ingest.requests.flatness import as_request, count_whole_spans
from backtrail_ingest.requests.limits import Limits
from backtrail_ingest.requests.nested_values import NestedValues, Unusual
from backtrail_ingest.requests.wire import SlicedLogsRequest, SlicedRequest
from backtrail_ingest.requests.wire_fields import Budget
from backtrail_ingest.signals import TRACES, Signal
from backtrail_store.values import write_json

MOST_GROWTH = 6  # of a byte that becomes JSON: \\u0000


def with_flat_values(item: bytes, limits: Limits, signal: Signal) -> bytes | None:
    """None if more is the matter with the span or log record than its values."""
    if len(item) > min(limits.harmless_bytes, limits.value_bytes // MOST_GROWTH):
        return None
    values = NestedValues(Budget(2 * len(item)), name_length=limits.name_length)  # more than it can hold
    try:
        return _flat_span(item, values) if signal == TRACES else _flat_record(item, values)
    except (DecodeError, UnicodeDecodeError, Unusual):
        return None


def _flat_span(item: bytes, values: NestedValues) -> bytes | None:
    request = SlicedRequest.FromString(as_request(item))
    if count_whole_spans(request) is None:
        return None
    span = request.resource_spans[0].scope_spans[0].spans[0]
    for attributes in (
        span.attributes,
        *(event.attributes for event in span.events),
        *(link.attributes for link in span.links),
    ):
        _flatten_attributes(attributes, values)
    return _written(span)


def _flat_record(item: bytes, values: NestedValues) -> bytes | None:
    record = SlicedLogsRequest.FromString(as_request(item)).resource_logs[0].scope_logs[0].log_records[0]
    _flatten_attributes(record.attributes, values)
    _flatten(record.body, values)
    return _written(record)


def _written(message: Any) -> bytes | None:
    """None if it has fields of the wrong type, which protobuf takes for unknown ones and ClickHouse for damage."""
    written: bytes = message.SerializeToString()
    message.DiscardUnknownFields()
    return written if message.ByteSize() == len(written) else None


def _flatten_attributes(attributes: MutableSequence[KeyValue], values: NestedValues) -> None:
    """Of two values for one key the last counts, as in the SDKs."""
    last = {attribute.key: attribute for attribute in attributes}
    if len(last) < len(attributes):
        chosen = list(last.values())
        del attributes[:]
        attributes.extend(chosen)
    for attribute in attributes:
        _flatten(attribute.value, values)


def _flatten(value: AnyValue, values: NestedValues) -> None:
    """In a sliced message `array_value` and `kvlist_value` are bytes; JSON text takes the place of the map's."""
    if value.WhichOneof("value") not in ("array_value", "kvlist_value"):
        return
    plain = values.read(value.SerializeToString())
    if not isinstance(plain, list) or not all(isinstance(element, str) for element in plain):
        setattr(value, "kvlist_value", write_json(plain).encode())  # noqa: B010  # the type checker knows it as a message
