"""Which logs requests pass as they came, which are rewritten, and which are none."""

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from backtrail_ingest.admission import Receipt
from backtrail_ingest.errors import UndecodableRequest
from backtrail_ingest.receivers.status import response_of
from backtrail_ingest.requests.flatten import rewrite
from backtrail_ingest.requests.inspection import inspect
from backtrail_ingest.signals import LOGS
from tests.factories import inspected, log_record, logs_request, otlp_request, plain_span


def test_flat_records_pass_as_the_bytes_that_came_in() -> None:
    body = logs_request(log_record(), log_record(b"\x00\x01", attributes={"a": 1, "b": ["x"]})).SerializeToString()

    found = inspect(body, signal=LOGS)

    assert found is not None
    assert (found.body, found.item_count, found.signal.name) == (body, 2, "logs")


@pytest.mark.parametrize(
    "record", [log_record({"content": "hi"}), log_record([1]), log_record(attributes={"m": [{"role": "user"}]})]
)
def test_a_nested_body_or_attribute_is_rewritten_before_the_inbox(record: LogRecord) -> None:
    body = logs_request(record).SerializeToString()

    assert inspect(body, signal=LOGS) is None
    assert rewrite(body, signal=LOGS).item_count == 1


@pytest.mark.parametrize("body", [b"\x0a", otlp_request(plain_span()).SerializeToString(), b"\x12\x01a"])
def test_t16_what_is_no_logs_request_is_refused(body: bytes) -> None:
    with pytest.raises(UndecodableRequest, match="ExportLogsServiceRequest"):
        inspected(body, LOGS)


def test_no_record_is_refused_for_its_ids() -> None:
    body = logs_request(log_record(trace_id=b"abc"), log_record(trace_id=bytes(16))).SerializeToString()

    found = inspect(body, signal=LOGS)

    assert found is not None
    assert (found.item_count, found.faults.counts) == (2, {})


def test_what_is_left_out_of_a_logs_request_is_counted_in_its_own_field() -> None:
    answer = response_of(LOGS, Receipt(3, "three of them were none"))

    assert answer == ExportLogsServiceResponse(
        partial_success=ExportLogsPartialSuccess(rejected_log_records=3, error_message="three of them were none")
    )
