"""What is in a request, for a person who has to decide about it: the first names among its spans or log records.

inbox → **first_names** → quarantine (admin)
"""

from collections.abc import Iterator
from itertools import islice

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from backtrail_ingest.signals import LOGS, Signal

SHOWN = 10


def first_names(signal: Signal, body: bytes) -> list[str]:
    """None at all if these bytes are no request: that, then, is what is wrong with it."""
    try:
        return list(islice(log_names(body) if signal == LOGS else span_names(body), SHOWN))
    except DecodeError:
        return []


def span_names(body: bytes) -> Iterator[str]:
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope_spans in resource_spans.scope_spans:
            yield from (span.name for span in scope_spans.spans)


def log_names(body: bytes) -> Iterator[str]:
    for resource_logs in ExportLogsServiceRequest.FromString(body).resource_logs:
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                yield record.event_name or record.body.string_value[:100]
