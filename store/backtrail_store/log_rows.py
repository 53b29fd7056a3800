"""What is asked about log records, and one row of get_log_records.sql as a LogRow. Pure.

get_log_records.sql, get_log_contents.sql → **log_rows** → log_reader
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backtrail_store.attributes import join_payload, read_values
from backtrail_store.rows import AttributeValue

_BODY = "body"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One log record. `hash` tells it from others of the same time; `observed_time_unix_nano` is 0 if it came without.

    A body or attribute that lies in contents is None or absent if its text is gone, or was not asked for.
    """

    trace_id: str
    span_id: str
    time_unix_nano: int
    observed_time_unix_nano: int
    received_unix_nano: int
    hash: int
    severity_number: int
    severity_text: str
    event_name: str
    service_name: str
    scope_name: str
    scope_version: str
    scope_schema_url: str
    resource_schema_url: str
    flags: int
    dropped_attributes_count: int
    resource_dropped_attributes_count: int
    scope_dropped_attributes_count: int
    body: AttributeValue
    attributes: dict[str, AttributeValue]
    resource: dict[str, AttributeValue]
    scope_attributes: dict[str, AttributeValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which log records: newest first, `start` ≤ time < `end`; `before` continues a page.

    `severity` is the least severity number. `text` is words, all of which stand in the body or in one payload.
    """

    start: datetime | None = None
    end: datetime | None = None
    trace_id: str | None = None
    span_id: str | None = None
    service: str | None = None
    event_name: str | None = None
    severity: int = 0
    text: str | None = None
    before: tuple[int, int] | None = None  # (time_unix_nano, hash) of the last record already seen
    limit: int = 50


def pieces_of(row: Mapping[str, Any]) -> Iterator[int]:
    """The hashes under which contents has this row's payloads."""
    yield from row["body_payload"]["hashes"]
    for payload in row["payloads"].values():
        yield from payload["hashes"]


def log_row(row: Mapping[str, Any], contents: Mapping[int, str]) -> LogRow:
    columns = dict(row)
    texts = dict(columns.pop("attributes"))
    for key, payload in columns.pop("payloads").items():
        text = join_payload(payload["form"], payload["hashes"], contents)
        if text is not None:
            texts[key] = text
    attributes = read_values(texts, columns.pop("attribute_types"))
    if flagged := columns.pop("flagged"):
        attributes["backtrail.flagged"] = flagged
    values = {
        "body": _body(columns, contents),
        "attributes": attributes,
        "resource": read_values(columns["resource"], columns.pop("resource_types")),
        "scope_attributes": read_values(columns["scope_attributes"], columns.pop("scope_attribute_types")),
    }
    return LogRow(**columns | values)


def _body(columns: dict[str, Any], contents: Mapping[int, str]) -> AttributeValue:
    text, type_, payload = columns[_BODY], columns.pop("body_type"), columns.pop("body_payload")
    if payload["hashes"]:
        text = join_payload(payload["form"], payload["hashes"], contents)
        if text is None:
            return None
    return read_values({_BODY: text}, {} if type_ == "string" else {_BODY: type_})[_BODY]
