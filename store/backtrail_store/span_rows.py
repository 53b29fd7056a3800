"""One row of get_trace.sql becomes a SpanRow. Pure.

    get_trace.sql, get_contents.sql → **span_rows** → reader

The query selects SpanRow's fields in their order and, after them, attribute_types, resource_types,
scope_attribute_types, payloads and flagged, from which all attributes are read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from backtrail_store.attributes import join_payload, read_values
from backtrail_store.rows import AttributeValue, EventRow, LinkRow, SpanRow

START_TIME = list(SpanRow.__dataclass_fields__).index("start_time_unix_nano")
RECEIVED = list(SpanRow.__dataclass_fields__).index("received_unix_nano")
PAYLOADS = -2
_FIRST_VALUES = list(SpanRow.__dataclass_fields__).index("attributes")


def span_row(row: Sequence[Any], contents: Mapping[int, str] | None) -> SpanRow:
    """`contents` holds the trace's payload texts by hash; None leaves the payloads out."""
    light, resource, scope, events, links, types, resource_types, scope_types, payloads, flagged = row[_FIRST_VALUES:]
    texts = dict(light)
    missing = []
    if contents is not None:
        for key, payload in payloads.items():
            text = join_payload(payload["form"], payload["hashes"], contents)
            if text is not None:
                texts[key] = text
            else:
                missing.append(key)
    columns = [
        *row[:_FIRST_VALUES],
        _values(texts, types, flagged),
        read_values(resource, resource_types),
        read_values(scope, scope_types),
        [_event(event) for event in events],
        [_link(link) for link in links],
        missing,
    ]
    return SpanRow(*columns)


def _event(event: Mapping[str, Any]) -> EventRow:
    attributes = read_values(event["attributes"], event["attribute_types"])
    return EventRow(
        time_unix_nano=event["time_unix_nano"],
        name=event["name"],
        attributes=attributes,
        dropped_attributes_count=event["dropped_attributes_count"],
    )


def _link(link: Mapping[str, Any]) -> LinkRow:
    return LinkRow(
        trace_id=link["trace_id"],
        span_id=link["span_id"],
        trace_state=link["trace_state"],
        attributes=read_values(link["attributes"], link["attribute_types"]),
        dropped_attributes_count=link["dropped_attributes_count"],
        flags=link["flags"],
    )


def _values(texts: Mapping[str, str], types: Mapping[str, str], flagged: str) -> dict[str, AttributeValue]:
    values = read_values(texts, types)
    if flagged:
        values["backtrail.flagged"] = flagged
    return values
