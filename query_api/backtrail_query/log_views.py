"""Log records → the plain dicts that become JSON, beside their spans or one by one.

    log_reader → [LogRow] → **log_views** → routes/logs.py, routes/traces.py, routes/runs.py

A record may name a span that has not arrived, that never will, or none at all.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from backtrail_query.views import JsonObject, rfc3339
from backtrail_store.log_rows import LogRow
from backtrail_store.rows import AttributeValue
from backtrail_store.values import json_value

MOST_LOGS_OF_A_TRACE = 10_000


def log_view(log: LogRow) -> JsonObject:
    """The whole record."""
    observed = log.observed_time_unix_nano
    return {
        "trace_id": log.trace_id or None,
        "span_id": log.span_id or None,
        "time_unix_nano": log.time_unix_nano,
        "time": rfc3339(log.time_unix_nano),
        "observed_time_unix_nano": observed or None,
        "observed_time": rfc3339(observed) if observed else None,
        "severity_number": log.severity_number,
        "severity_text": log.severity_text,
        "event_name": log.event_name or None,
        "body": json_value(log.body),
        "attributes": _members(log.attributes),
        "dropped_attributes_count": log.dropped_attributes_count,
        "flags": log.flags,
        "service_name": log.service_name,
        "scope": {
            "name": log.scope_name,
            "version": log.scope_version,
            "schema_url": log.scope_schema_url,
            "dropped_attributes_count": log.scope_dropped_attributes_count,
            "attributes": _members(log.scope_attributes),
        },
        "resource": _members(log.resource),
        "resource_schema_url": log.resource_schema_url,
        "resource_dropped_attributes_count": log.resource_dropped_attributes_count,
    }


def _members(values: Mapping[str, AttributeValue]) -> JsonObject:
    return {key: json_value(value) for key, value in values.items()}


def log_note(log: LogRow) -> JsonObject:
    """What a tree says of a record."""
    return {
        "time": rfc3339(log.time_unix_nano),
        "severity_number": log.severity_number,
        "severity_text": log.severity_text,
        "event_name": log.event_name or None,
        "body": json_value(log.body),
    }


def by_span(logs: Iterable[LogRow]) -> dict[str, list[LogRow]]:
    """Those without a span under the empty id."""
    spans: dict[str, list[LogRow]] = defaultdict(list)
    for log in logs:
        spans[log.span_id].append(log)
    return spans


def first_of_trace(logs: Sequence[LogRow]) -> tuple[Sequence[LogRow], bool]:
    """As many as a trace is shown with, and whether there are more; the reader is asked for one in excess."""
    return logs[:MOST_LOGS_OF_A_TRACE], len(logs) > MOST_LOGS_OF_A_TRACE
