"""Clients that are slow, silent or too many: they are given up, and nobody else notices (T27)."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import grpc
import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse, Response

from backtrail_server import patience
from backtrail_server.open_files import allow_connections
from backtrail_server.process import Server, new_loop, web_config
from tests.factories import otlp_request, plain_span
from tests.serving import running_server
from tests.waiting import until

LARGE = 64 << 20
IDLE = 2000
HEAD = b"POST /length HTTP/1.1\r\nhost: x\r\n"
PROTOBUF = {"content-type": "application/x-protobuf"}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"  # and empty settings
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

app = FastAPI()


@app.post("/length")
async def length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@app.get("/large")
async def large() -> Response:
    return Response(bytes(LARGE))


@app.get("/later")
async def later() -> Response:
    await asyncio.sleep(1)
    return PlainTextResponse("now")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines a test can wait for."""
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "READ_SECONDS"):
        monkeypatch.setattr(patience, name, 0.3)


def run(server: uvicorn.Server, listener: socket.socket) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(server.serve([listener]))


@contextmanager
def serving(max_connections: int = 100, **options: object) -> Iterator[tuple[uvicorn.Server, int]]:
    ready = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    config = web_config(app, grace=1, max_connections=max_connections, log_config=None, **options)
    server = Server(config, ready.set)
    thread = threading.Thread(target=run, args=(server, listener))
    thread.start()
    try:
        assert ready.wait(20)
        yield server, listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def read_to_end(connection: socket.socket) -> bytes:
    received = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(1 << 20):
            received += piece
    return received


def trickle(connection: socket.socket, piece: bytes, pause: float = 0.05) -> None:
    """Until the server has had enough."""
    with suppress(OSError):
        while True:
            connection.sendall(piece)
            time.sleep(pause)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("sent", "trickled"),
    [
        (b"", b""),
        (HEAD, b""),
        (HEAD + b"x-endless: ", b"x"),
        (HEAD + b"content-length: 1000\r\n\r\n", b"x"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["nothing", "half a head", "head by the byte", "body by the byte", "chunks by the byte"],
)
def test_t27_a_request_that_never_ends_is_given_up(sent: bytes, trickled: bytes) -> None:
    with serving() as (_, port), connected(port) as connection:
        connection.sendall(sent)
        if trickled:
            trickle(connection, trickled)

        assert read_to_end(connection) == b""


@pytest.mark.usefixtures("quick")
def test_t27_a_second_request_that_never_ends_is_given_up_as_well() -> None:
    with serving() as (_, port), connected(port) as connection:
        connection.sendall(HEAD + b"content-length: 2\r\n\r\nok" + HEAD)

        assert read_to_end(connection).endswith(b"\r\n\r\n2")


@pytest.mark.usefixtures("quick")
def test_t27_a_reader_who_never_reads_is_given_up() -> None:
    with serving() as (server, port), connected(port) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        until(lambda: bool(server.server_state.connections))

        until(lambda: not server.server_state.connections)


@pytest.mark.usefixtures("quick")
def test_t27_a_reader_who_takes_his_time_gets_everything() -> None:
    with serving() as (_, port), connected(port) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        received = 0
        while piece := connection.recv(1 << 20):
            received += len(piece)
            time.sleep(0.005)

    assert received > LARGE


@pytest.mark.usefixtures("quick")
def test_t27_an_answer_that_takes_long_is_waited_for_and_so_is_the_request_behind_it() -> None:
    with serving() as (_, port), connected(port) as connection:
        connection.sendall(b"GET /later HTTP/1.1\r\nhost: x\r\n\r\n" + HEAD + b"content-length: 5\r\n")
        connection.sendall(b"connection: close\r\n\r\nhello")

        answers = read_to_end(connection)

    assert answers.count(b"200 OK") == 2
    assert answers.endswith(b"\r\n\r\n5")


@pytest.mark.parametrize(
    "endless",
    [
        (HEAD, b"x-filler: " + b"x" * 1000 + b"\r\n"),
        (HEAD + b"x-filler: ", b"x" * 1000),
        (b"GET /", b"x" * 1000),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x-trailer: " + b"x" * 1000 + b"\r\n"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n5;extension=", b"x" * 1000),
    ],
    ids=["headers", "one header", "path", "trailers", "chunk extension"],
)
def test_t27_a_head_without_end_is_refused_before_it_fills_the_memory(endless: tuple[bytes, bytes]) -> None:
    with serving() as (_, port), connected(port) as connection:
        connection.sendall(endless[0])
        trickle(connection, endless[1] * 10, pause=0)

        assert b"200 OK" not in read_to_end(connection)


def test_t27_a_head_that_is_too_large_is_told_so() -> None:
    with serving() as (_, port), connected(port) as connection:
        connection.sendall(HEAD + b"x-filler: " + b"x" * patience.HEAD_BYTES)

        answer = read_to_end(connection)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"larger than 65536 bytes" in answer


def test_t27_a_connection_too_many_is_told_to_come_again() -> None:
    with serving(max_connections=2) as (server, port), connected(port), connected(port):
        until(lambda: len(server.server_state.connections) == 2)
        with connected(port) as refused:
            answer = read_to_end(refused)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 2\r\n" in answer


def test_t27_two_thousand_idle_connections_leave_others_unaffected(tmp_path: Path) -> None:
    if allow_connections(2 * IDLE) < 2 * IDLE:
        pytest.skip("this system allows a process too few open files")
    body = otlp_request(plain_span()).SerializeToString()
    with running_server(tmp_path / "data") as server, ExitStack() as idle:
        for target in (server.url.removeprefix("http://"), server.grpc_target):
            host, _, port = target.rpartition(":")
            for _ in range(IDLE):
                idle.enter_context(socket.create_connection((host, int(port)), timeout=20))

        for _ in range(20):
            assert httpx.post(f"{server.url}/v1/traces", content=body, headers=PROTOBUF).status_code == 200
        assert httpx.get(f"{server.url}/readyz").status_code == 200
        with grpc.insecure_channel(server.grpc_target) as channel:
            assert channel.unary_unary(EXPORT, bytes, bytes)(body, timeout=20) == b""


def test_t27_grpc_connections_too_many_take_nobody_elses_files(tmp_path: Path) -> None:
    """Idle ones, without a key: beyond the limit they are closed, and those that end make room for others."""
    body = otlp_request(plain_span()).SerializeToString()
    environment = os.environ | {"BACKTRAIL_MAX_CONNECTIONS": "20"}
    with running_server(tmp_path / "data", env=environment) as server:
        host, _, port = server.grpc_target.rpartition(":")
        files = Path(f"/proc/{server.process.pid}/fd")
        before = len(list(files.iterdir()))
        with ExitStack() as idle:
            for _ in range(200):
                connection = idle.enter_context(socket.create_connection((host, int(port)), timeout=20))
                with suppress(OSError):
                    connection.sendall(PREFACE)
            assert httpx.post(f"{server.url}/v1/traces", content=body, headers=PROTOBUF).status_code == 200
            until(lambda: len(list(files.iterdir())) < before + 60)

        def is_taken() -> bool:
            with grpc.insecure_channel(server.grpc_target) as channel, suppress(grpc.RpcError):
                return bool(channel.unary_unary(EXPORT, bytes, bytes)(body, timeout=20) == b"")
            return False

        until(is_taken)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("sent", "trickled", "answer"),
    [
        (b"", b"x", b""),
        (b"content-length: 1000\r\n\r\n", b"\x00", b"HTTP/1.1 503 "),
    ],
    ids=["head", "body"],
)
def test_t27_one_byte_a_second_is_too_slow_for_the_real_server(
    tmp_path: Path, sent: bytes, trickled: bytes, answer: bytes
) -> None:
    """Its deadlines are 10 and 30 seconds."""
    with running_server(tmp_path / "data") as server, connected(int(server.url.rpartition(":")[2])) as connection:
        connection.settimeout(60)
        head = b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n"
        connection.sendall(head + sent)
        threading.Thread(target=trickle, args=(connection, trickled, 1), daemon=True).start()

        assert read_to_end(connection)[:13] == answer


def test_t27_requests_without_end_in_one_packet_are_given_up_before_they_fill_the_memory() -> None:
    """Each takes kilobytes once it is parsed, and twenty bytes on the way."""
    with serving() as (server, port), connected(port) as connection:
        asked = b"GET /later HTTP/1.1\r\nhost: x\r\n\r\n" * 1000
        with suppress(OSError):
            connection.sendall(asked)
            read_to_end(connection)

        until(lambda: not server.server_state.connections)
        assert len(server.server_state.tasks) <= 1


def test_t27_a_few_requests_sent_ahead_of_their_answers_are_answered() -> None:
    with serving() as (_, port), connected(port) as connection:
        asked = b"POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx"
        connection.sendall(asked * (patience.WAITING_REQUESTS - 1) + asked.replace(b"host: x", b"connection: close"))

        assert read_to_end(connection).count(b"200 OK") == patience.WAITING_REQUESTS


def test_t27_a_head_of_very_many_headers_is_told_so() -> None:
    with serving() as (_, port), connected(port) as connection:
        connection.sendall(HEAD + b"a:b\r\n" * (patience.HEADERS + 1))

        assert b"more than 200 headers" in read_to_end(connection)
