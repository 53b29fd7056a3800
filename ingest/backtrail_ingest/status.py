"""The bytes of OTLP's answers: a partial success, or google.rpc.Status for what was refused.

admission → **status** → http_receiver, grpc_receiver → client
"""

import json
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as PackedMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from backtrail_ingest.admission import Receipt


def response_bytes(receipt: Receipt) -> bytes:
    """Without rejected spans `partial_success` has to be absent, which is no bytes at all."""
    if not receipt.rejected_spans:
        return b""
    partial_success = ExportTracePartialSuccess(
        rejected_spans=receipt.rejected_spans, error_message=receipt.error_message
    )
    return ExportTraceServiceResponse(partial_success=partial_success).SerializeToString()


def status_bytes(code: grpc.StatusCode, message: str, *, retry_after: int | None = None) -> bytes:
    details = []
    if retry_after is not None:
        packed = PackedMessage()
        packed.Pack(retry_info(retry_after))
        details.append(packed)
    return bytes(Status(code=code_number(code), message=message, details=details).SerializeToString())


def status_json(code: grpc.StatusCode, message: str) -> bytes:
    return json.dumps({"code": code_number(code), "message": message}).encode()


def retry_info(seconds: int) -> RetryInfo:
    return RetryInfo(retry_delay=Duration(seconds=seconds))


def code_number(code: grpc.StatusCode) -> int:
    value: tuple[Any, ...] = code.value
    return int(value[0])
