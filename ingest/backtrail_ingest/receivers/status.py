"""The bytes of OTLP's answers: a partial success, or google.rpc.Status for what was refused.

admission → **status** → http_receiver, grpc_receiver → client
"""

import json
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as PackedMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from backtrail_ingest.admission import Receipt
from backtrail_ingest.signals import Signal


def response_of(signal: Signal, receipt: Receipt) -> Message:
    """Without rejected items `partial_success` has to be absent: no bytes at all in protobuf, `{}` in JSON."""
    response = signal.response()
    if receipt.rejected_items:
        partial_success = response.partial_success  # type: ignore[attr-defined]
        setattr(partial_success, signal.rejected_items, receipt.rejected_items)
        partial_success.error_message = receipt.error_message
    return response


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
