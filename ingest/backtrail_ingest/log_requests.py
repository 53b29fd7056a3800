"""Looks at every logs request as inspection and flatten do at traces: is it OTLP, and is it flat?

    receiver → admission → **log_requests** → envelope → inbox → writer

No record is refused for its ids. OTLP has a record with a trace id that is none taken as one without; the store
keeps what it was.
"""

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs

from backtrail_ingest.errors import UndecodableRequest
from backtrail_ingest.flatten import InspectedRequest, flatten_attributes, flatten_value
from backtrail_ingest.inspection import is_flat
from backtrail_ingest.signals import LOGS
from backtrail_ingest.wire import FlatLogsRequest, SlicedLogsRequest


def inspect_logs(body: bytes) -> InspectedRequest | None:
    """None if the request has to be rewritten: a value lies deeper than a list of texts, as most GenAI events' do."""
    try:
        request = FlatLogsRequest.FromString(body)
    except DecodeError as error:
        raise UndecodableRequest(f"{len(body)} bytes are not an ExportLogsServiceRequest: {error}") from error
    if body and not request.resource_logs:
        raise UndecodableRequest(f"{len(body)} bytes hold no resource_logs: they are not an ExportLogsServiceRequest")
    if is_flat(request, len(body)):
        return InspectedRequest(body=body, item_count=count_records(request), signal=LOGS)
    return None


def count_records(request: ExportLogsServiceRequest) -> int:
    return sum(
        len(scope_logs.log_records)
        for resource_logs in request.resource_logs
        for scope_logs in resource_logs.scope_logs
    )


def rewrite_logs(body: bytes) -> InspectedRequest:
    try:
        request = SlicedLogsRequest.FromString(body)
        for resource_logs in request.resource_logs:
            flatten_resource_logs(resource_logs)
    except (DecodeError, UnicodeDecodeError) as error:
        raise UndecodableRequest(f"{len(body)} bytes are not an ExportLogsServiceRequest: {error}") from error
    return InspectedRequest(body=request.SerializeToString(), item_count=count_records(request), signal=LOGS)


def flatten_resource_logs(resource_logs: ResourceLogs) -> None:
    flatten_attributes(resource_logs.resource.attributes)
    for scope_logs in resource_logs.scope_logs:
        flatten_attributes(scope_logs.scope.attributes)
        for record in scope_logs.log_records:
            flatten_attributes(record.attributes)
            flatten_value(record.body)
