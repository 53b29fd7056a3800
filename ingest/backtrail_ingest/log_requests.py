"""Looks at every logs request as inspection does at traces: is it OTLP, is it flat and within the limits?

    receiver → admission → **log_requests** → (flatten) → envelope → inbox → writer

No record is refused for its ids. OTLP has a record with a trace id that is none taken as one without; the store
keeps what it was.
"""

from typing import Any

from backtrail_ingest.errors import UndecodableRequest
from backtrail_ingest.flatten import rewrite
from backtrail_ingest.inspected import InspectedRequest
from backtrail_ingest.inspection import are_attributes_within, are_short, inspect_pieces, is_flat, is_head_harmless
from backtrail_ingest.limits import DEFAULT_LIMITS, Limits
from backtrail_ingest.signals import LOGS
from backtrail_ingest.wire import FlatLogsRequest, SizesLogsRequest


def inspect_logs(body: bytes, limits: Limits = DEFAULT_LIMITS) -> InspectedRequest | None:
    """None if the request has to be rewritten: a value lies deeper than a list of texts, as most GenAI events' do."""
    return inspect_pieces(body, limits, count_flat_records, LOGS)


def rewrite_logs(body: bytes, limits: Limits = DEFAULT_LIMITS) -> InspectedRequest:
    return rewrite(body, limits, LOGS)


def count_flat_records(body: bytes, limits: Limits) -> int | None:
    request = FlatLogsRequest.FromString(body)
    if body and not request.resource_logs:
        raise UndecodableRequest(f"{len(body)} bytes hold no resource_logs: they are not an ExportLogsServiceRequest")
    if not is_flat(request, len(body)):
        return None
    return count_records_within(request, SizesLogsRequest.FromString(body), limits)


def count_records_within(request: Any, sizes: Any, limits: Limits) -> int | None:
    """How many records there are; None if one breaks a limit."""
    count = 0
    for resource_logs, resource_sizes in zip(request.resource_logs, sizes.resource_logs, strict=True):
        if not is_head_harmless(resource_sizes.resource, resource_sizes.schema_url, limits):
            return None
        for scope_logs, scope_sizes in zip(resource_logs.scope_logs, resource_sizes.scope_logs, strict=True):
            if not is_head_harmless(scope_sizes.scope, scope_sizes.schema_url, limits):
                return None
            count += len(scope_sizes.log_records)
            if max(map(len, scope_sizes.log_records), default=0) > limits.harmless_bytes:
                large = zip(scope_logs.log_records, map(len, scope_sizes.log_records), strict=True)
                if not all(
                    size <= limits.harmless_bytes or is_record_within(record, size, limits) for record, size in large
                ):
                    return None
    return count


def is_record_within(record: Any, size: int, limits: Limits) -> bool:
    return (
        size <= limits.value_bytes
        and are_short((record.severity_text, record.event_name), limits)
        and are_attributes_within(record.attributes, limits)
    )
