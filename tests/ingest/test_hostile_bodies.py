"""Bodies made to hurt: bombs, lies about their length, and what only looks like a request. The real server answers."""

import gzip
import json
import os
import socket
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from tests.factories import otlp_request, plain_span
from tests.serving import RunningServer, running_server

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1 << 20
LIMIT = 20 * MIB
PROTOBUF = "application/x-protobuf"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    environment = os.environ | {"BACKTRAIL_MAX_REQUEST_BYTES": str(LIMIT)}
    with running_server(tmp_path_factory.mktemp("hostile"), env=environment) as server:
        yield server


def post(server: RunningServer, body: bytes, encoding: str = "", content_type: str = PROTOBUF) -> httpx.Response:
    headers = {"content-type": content_type} | ({"content-encoding": encoding} if encoding else {})
    return httpx.post(f"{server.url}/v1/traces", content=body, headers=headers)


def spans_received(server: RunningServer) -> float:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("backtrail_spans_received_total"))


class Memory:
    """The most a process has held since it was asked last."""

    def __init__(self, process_id: int) -> None:
        self._folder = Path(f"/proc/{process_id}")
        self.reset()

    def reset(self) -> None:
        (self._folder / "clear_refs").write_text("5")
        self._before = self._peak()

    def growth(self) -> int:
        return self._peak() - self._before

    def _peak(self) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def zeros(size: int, encoding: str) -> bytes:
    """Compressed, made piece by piece."""
    if encoding == "zstd":
        frame = zstd.ZstdCompressor()
        return b"".join([frame.compress(bytes(MIB)) for _ in range(size // MIB)]) + frame.flush()
    stream = zlib.compressobj(wbits=zlib.MAX_WBITS | 16 if encoding == "gzip" else zlib.MAX_WBITS)
    return b"".join([stream.compress(bytes(MIB)) for _ in range(size // MIB)]) + stream.flush()


@pytest.mark.parametrize("content_type", [PROTOBUF, "application/json"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_t14_a_bomb_is_refused_before_it_takes_memory(server: RunningServer, encoding: str, content_type: str) -> None:
    bomb = zeros(160 * MIB, encoding)
    post(server, b"", encoding)
    memory = Memory(server.process.pid)

    answer = post(server, bomb, encoding, content_type)

    assert answer.status_code == 413
    assert f"larger than {LIMIT} bytes" in answer.text
    assert memory.growth() < 64 * MIB


def test_t14_a_bomb_over_grpc_is_refused_before_it_takes_memory(server: RunningServer) -> None:
    with grpc.insecure_channel(server.grpc_target) as channel:
        call = channel.unary_unary(EXPORT, bytes, bytes)
        call(b"", timeout=20)
        memory = Memory(server.process.pid)
        with pytest.raises(grpc.RpcError) as caught:
            call(bytes(128 * MIB), compression=grpc.Compression.Gzip, timeout=60)

    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert memory.growth() < 64 * MIB


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,zstd", "br", "compress"])
def test_t14_stacked_and_unknown_encodings_are_refused_unread(server: RunningServer, encoding: str) -> None:
    answer = post(server, gzip.compress(gzip.compress(b"")), encoding)

    assert answer.status_code == 415
    assert f"content encoding '{encoding}'" in Status.FromString(answer.content).message


def test_t14_two_headers_are_a_stack_as_well(server: RunningServer) -> None:
    headers = [("content-type", PROTOBUF), ("content-encoding", "gzip"), ("content-encoding", "gzip")]

    answer = httpx.post(f"{server.url}/v1/traces", content=b"", headers=headers)

    assert answer.status_code == 415


def test_t14_a_frame_that_wants_a_large_window_is_refused(server: RunningServer) -> None:
    wide = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})

    answer = post(server, wide.compress(bytes(MIB)) + wide.flush(), "zstd")

    assert answer.status_code == 400
    assert "too much memory" in Status.FromString(answer.content).message


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("harm", ["cut", "more", "broken"])
def test_t14_damaged_compression_is_undecodable(server: RunningServer, encoding: str, harm: str) -> None:
    body = zeros(MIB, encoding)
    harmed = {"cut": body[:-6], "more": body + b"more", "broken": b"\x00\x00" + body}[harm]

    answer = post(server, harmed, encoding)

    assert answer.status_code == 400
    assert "compress" in Status.FromString(answer.content).message


def raw_answer(server: RunningServer, *pieces: bytes) -> tuple[int, bytes]:
    """What comes back for these bytes, up to the end of the connection."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        sender = threading.Thread(target=send_all, args=(connection, pieces))
        sender.start()
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        sender.join()
    return int(received.split(b" ", 2)[1]), received


def send_all(connection: socket.socket, pieces: tuple[bytes, ...]) -> None:
    try:
        for piece in pieces:
            connection.sendall(piece)
    except OSError:
        pass  # the server has closed the connection, as it should


HEAD = b"POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-protobuf\r\n"


def test_t15_one_byte_over_the_limit_is_too_large_and_the_limit_itself_is_not(server: RunningServer) -> None:
    def body_of(size: int) -> bytes:
        """One attribute fills it up. Its length takes four bytes at this size, in each of the messages around it."""
        bare = otlp_request(plain_span(trace_id=os.urandom(16), attributes={"a": "x" * (size - 1024)}))
        missing = size - bare.ByteSize()
        bare.resource_spans[0].scope_spans[0].spans[0].attributes[0].value.string_value += "x" * missing
        return bare.SerializeToString()

    assert len(body_of(LIMIT)) == LIMIT
    assert post(server, body_of(LIMIT)).status_code == 200

    received = spans_received(server)
    refused = post(server, body_of(LIMIT + 1))

    assert (refused.status_code, refused.headers["connection"]) == (413, "close")
    assert spans_received(server) == received


def test_t15_chunks_without_a_length_are_counted_as_they_come(server: RunningServer) -> None:
    received = spans_received(server)
    chunk = b"100000\r\n" + bytes(MIB) + b"\r\n"

    status, answer = raw_answer(server, HEAD + b"transfer-encoding: chunked\r\n\r\n", *[chunk] * 40, b"0\r\n\r\n")

    assert status == 413
    assert b"connection: close\r\n" in answer
    assert spans_received(server) == received


def test_t15_a_declared_length_over_the_limit_is_believed_at_once(server: RunningServer) -> None:
    status, answer = raw_answer(server, HEAD + b"content-length: 1000000000000\r\n\r\n")

    assert status == 413
    assert b"connection: close\r\n" in answer
    assert b"1000000000000 bytes are over the limit" in answer


def test_t15_a_refused_client_that_sends_on_still_reads_its_answer(server: RunningServer) -> None:
    """Closing at once would reset the connection, and the reset would overtake the answer."""
    status, _ = raw_answer(server, HEAD + b"content-length: 90000000\r\n\r\n", *[bytes(MIB)] * 10)

    assert status == 413


@pytest.mark.parametrize("length", [b"-1", b"12x", b"1, 2", b"99999999999999999999999999"])
def test_t15_a_length_that_is_no_length_is_refused(server: RunningServer, length: bytes) -> None:
    status, _ = raw_answer(server, HEAD + b"content-length: " + length + b"\r\n\r\n")

    assert status in (400, 413)


def test_t15_a_body_shorter_than_declared_leaves_nothing_behind(server: RunningServer) -> None:
    received = spans_received(server)
    body = otlp_request(plain_span(trace_id=os.urandom(16))).SerializeToString()
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall(HEAD + b"content-length: 100000\r\n\r\n" + body)
        time.sleep(0.05)

    assert spans_received(server) == received


def test_t15_two_lengths_are_refused(server: RunningServer) -> None:
    both = b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n"

    status, _ = raw_answer(server, HEAD + both + b"0\r\n\r\n")

    assert status == 400


LOGS = ExportLogsServiceRequest(
    resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[LogRecord(body=AnyValue(string_value="hello"))])])]
).SerializeToString()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (PROTOBUF, b"\xff\xff"),
        (PROTOBUF, otlp_request(plain_span("cut")).SerializeToString()[:-3]),
        (PROTOBUF, b"\x08\x01"),  # the right field with another wire type
        (PROTOBUF, LOGS),
        (PROTOBUF, b'{"resourceSpans":[]}'),
        ("application/json", b"\x0a\x00"),
        ("application/json", b"{"),
        ("application/json", b"[" * 100_000),
        ("application/json", b'{"resourceLogs": []}'),
        ("application/json", b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"UNHEARD_OF"}]}]}]}'),
        (
            "application/json",
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"W47/95gDgQPSabYzgT/GDA=="}]}]}]}',
        ),
    ],
)
def test_t16_what_is_no_request_is_refused_in_its_own_encoding(
    server: RunningServer, content_type: str, body: bytes
) -> None:
    answer = post(server, body, content_type=content_type)

    assert (answer.status_code, answer.headers["content-type"]) == (400, content_type)
    if content_type == PROTOBUF:
        assert Status.FromString(answer.content).code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert "not an ExportTraceServiceRequest" in Status.FromString(answer.content).message
    else:
        assert json.loads(answer.content)["code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert "JSON" in json.loads(answer.content)["message"]
