"""OTLP over gRPC against the real server: the same duties as HTTP, in gRPC's codes."""

import os
from collections.abc import Iterator

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from tests.factories import otlp_request, plain_span
from tests.serving import RunningServer, running_server
from tests.waiting import until

MIB = 1 << 20
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
EXPORT_LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    environment = os.environ | {"BACKTRAIL_MAX_REQUEST_BYTES": str(MIB)}
    with running_server(tmp_path_factory.mktemp("grpc"), env=environment) as server:
        yield server


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc_target) as channel:
        yield channel


def as_it_is(message: bytes) -> bytes:
    return message


def export(channel: grpc.Channel, body: bytes, compression: grpc.Compression | None = None) -> bytes:
    call = channel.unary_unary(EXPORT, as_it_is, as_it_is)
    answer: bytes = call(body, compression=compression, timeout=20)
    return answer


def refusal_of(channel: grpc.Channel, body: bytes, compression: grpc.Compression | None = None) -> grpc.Call:
    with pytest.raises(grpc.RpcError) as caught:
        export(channel, body, compression)
    assert isinstance(caught.value, grpc.Call)
    return caught.value


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_request_is_acknowledged_without_a_word_and_read_back(
    server: RunningServer, channel: grpc.Channel, compression: grpc.Compression
) -> None:
    trace_id = os.urandom(16)

    answer = export(channel, otlp_request(plain_span("sent", trace_id=trace_id)).SerializeToString(), compression)

    assert answer == b""
    until(lambda: httpx.get(f"{server.url}/api/v1/traces/{trace_id.hex()}").is_success)


def test_a_span_with_a_bad_id_is_named(channel: grpc.Channel) -> None:
    answer = export(channel, otlp_request(plain_span("bad", id_=b"short"), plain_span("good")).SerializeToString())

    partial_success = ExportTraceServiceResponse.FromString(answer).partial_success
    assert partial_success.rejected_spans == 1
    assert "span 'bad': span_id of 5 bytes" in partial_success.error_message


def test_garbage_is_an_invalid_argument(channel: grpc.Channel) -> None:
    refusal = refusal_of(channel, b"\xff\xff")

    assert refusal.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "not an ExportTraceServiceRequest" in (refusal.details() or "")


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_request_over_the_limit_is_not_to_be_retried(channel: grpc.Channel, compression: grpc.Compression) -> None:
    refusal = refusal_of(channel, bytes(64 * MIB), compression)

    assert refusal.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "google.rpc.retryinfo-bin" not in dict(refusal.trailing_metadata() or ())


def test_log_records_have_a_service_of_their_own(channel: grpc.Channel) -> None:
    request = ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(scope_logs=[ScopeLogs(log_records=[LogRecord(body=AnyValue(string_value="hello"))])])
        ]
    )

    answer = channel.unary_unary(EXPORT_LOGS, as_it_is, as_it_is)(request.SerializeToString(), timeout=20)

    assert answer == b""


@pytest.mark.parametrize("service", ["metrics.v1.MetricsService", "profiles.v1development.ProfilesService"])
def test_other_signals_are_unimplemented(channel: grpc.Channel, service: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/opentelemetry.proto.collector.{service}/Export", as_it_is, as_it_is)(b"", timeout=20)

    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "Backtrail takes" in (caught.value.details() or "")


def test_a_full_inbox_says_when_to_come_back_in_both_forms(tmp_path_factory: pytest.TempPathFactory) -> None:
    environment = os.environ | {"BACKTRAIL_INBOX_BYTES": str(MIB)}
    with (
        running_server(tmp_path_factory.mktemp("full"), env=environment) as server,
        grpc.insecure_channel(server.grpc_target) as channel,
    ):
        refusal = refusal_of(
            channel, otlp_request(plain_span(attributes={"noise": os.urandom(MIB).hex()})).SerializeToString()
        )

    metadata = {key: value for key, value in refusal.trailing_metadata() or () if isinstance(value, bytes)}
    retry_info = RetryInfo()
    assert refusal.code() == grpc.StatusCode.UNAVAILABLE
    assert RetryInfo.FromString(metadata["google.rpc.retryinfo-bin"]).retry_delay.seconds == 2
    assert Status.FromString(metadata["grpc-status-details-bin"]).details[0].Unpack(retry_info)
    assert retry_info.retry_delay.seconds == 2
