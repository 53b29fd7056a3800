"""gRPC calls made to hurt (T28): too large, too slow, too many, in an encoding nobody knows; and faults of ours."""

import asyncio
import os
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import h2.connection
import h2.events
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo

from backtrail_ingest import Admission, GrpcReceiver, Ledger, admission
from backtrail_ingest.receivers import grpc_reading
from backtrail_ingest.receivers.grpc_receiver import calling_project
from backtrail_ingest.requests.inspected import InspectedRequest
from tests.factories import otlp_request, plain_span
from tests.ingest.conftest import InboxFolder
from tests.ingest.test_hostile_bodies import Memory, spans_received
from tests.serving import RunningServer, running_server
from tests.waiting import until

MIB = 1 << 20
LIMIT = 8 * MIB
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
BODY = otlp_request(plain_span()).SerializeToString()
HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", EXPORT),
    (":authority", "127.0.0.1"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    limits = {"BACKTRAIL_MAX_REQUEST_BYTES": str(LIMIT), "BACKTRAIL_MAX_BYTES_IN_FLIGHT": str(LIMIT)}
    with running_server(tmp_path_factory.mktemp("calls"), env=os.environ | limits) as server:
        yield server


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc_target) as channel:
        yield channel


def export(channel: grpc.Channel, body: bytes, **call: Any) -> bytes:
    answer: bytes = channel.unary_unary(EXPORT, bytes, bytes)(body, timeout=60, **call)
    return answer


def refusal_of(channel: grpc.Channel, body: bytes, **call: Any) -> grpc.Call:
    with pytest.raises(grpc.RpcError) as caught:
        export(channel, body, **call)
    assert isinstance(caught.value, grpc.Call)
    return caught.value


def is_refused(channel: grpc.Channel) -> bool:
    try:
        export(channel, BODY)
    except grpc.RpcError:
        return True
    return False


class RawCall:
    """HTTP/2 by hand, for what no client library would send."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        self.http2 = h2.connection.H2Connection()
        self.http2.initiate_connection()

    def __enter__(self) -> "RawCall":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def begin(self, *headers: tuple[str, str]) -> int:
        stream = self.http2.get_next_available_stream_id()
        self.http2.send_headers(stream, [*HEADERS, *headers])
        return stream

    def send(self) -> None:
        self._socket.sendall(self.http2.data_to_send())

    def trailers(self) -> dict[str, str]:
        """What ends the stream, whether or not an answer came before it."""
        found: dict[str, str] = {}
        while "grpc-status" not in found:
            for event in self.http2.receive_data(self._socket.recv(65536)):
                if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    found |= {as_text(name): as_text(value) for name, value in event.headers or ()}
            self.send()
        return found


def as_text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def test_t28_the_largest_message_is_taken_and_one_byte_more_is_not(channel: grpc.Channel) -> None:
    def body_of(size: int) -> bytes:
        bare = otlp_request(plain_span(trace_id=os.urandom(16), attributes={"a": "x" * (size - 1024)}))
        missing = size - bare.ByteSize()
        bare.resource_spans[0].scope_spans[0].spans[0].attributes[0].value.string_value += "x" * missing
        return bare.SerializeToString()

    assert len(body_of(LIMIT)) == LIMIT
    assert export(channel, body_of(LIMIT)) == b""

    refusal = refusal_of(channel, body_of(LIMIT + 1))

    assert refusal.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "google.rpc.retryinfo-bin" not in dict(refusal.trailing_metadata() or ())


def test_t28_an_unknown_compression_is_refused_for_good(server: RunningServer) -> None:
    """gRPC's own answer to a name that it does not know, before it asks us: INTERNAL, which no client tries again."""
    with RawCall(server.grpc_target) as call:
        stream = call.begin(("grpc-encoding", "snappy"))
        call.http2.send_data(stream, struct.pack(">BI", 1, len(BODY)) + BODY, end_stream=True)
        call.send()

        assert call.trailers()["grpc-status"] in ("12", "13")


def test_t28_sixty_four_kilobytes_of_metadata_are_too_many(channel: grpc.Channel) -> None:
    refusal = refusal_of(channel, BODY, metadata=[("x-large", "x" * 65536)])

    assert refusal.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_t28_a_call_without_a_message_is_refused(server: RunningServer) -> None:
    with RawCall(server.grpc_target) as call:
        call.http2.end_stream(call.begin())
        call.send()

        assert call.trailers()["grpc-status"] != "0"


def test_t28_a_flood_of_resets_leaves_nothing_behind(server: RunningServer, channel: grpc.Channel) -> None:
    def flood() -> None:
        for _ in range(20):
            with RawCall(server.grpc_target) as call:
                try:
                    for _ in range(100):
                        stream = call.begin()
                        call.http2.send_data(stream, struct.pack(">BI", 0, len(BODY)) + BODY[:10])
                        call.http2.reset_stream(stream)
                        call.send()
                except OSError:
                    pass  # the server has had enough of this connection

    flood()
    received = spans_received(server)
    memory = Memory(server.process.pid)

    flood()

    assert export(channel, BODY) == b""
    assert spans_received(server) == received + 1
    assert memory.growth() < 16 * MIB


def test_t28_large_messages_wait_with_their_clients_until_they_are_asked_for(server: RunningServer) -> None:
    """Forty of 8 MiB: the places that the settings leave are worth 8 MiB, with four readers."""
    channels = [
        grpc.insecure_channel(server.grpc_target, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(8)
    ]
    memory = Memory(server.process.pid)
    body = bytes(LIMIT)
    calls = [
        channel.unary_unary(EXPORT, bytes, bytes).future(body, timeout=60) for channel in channels for _ in range(5)
    ]

    codes = {call.code() for call in calls}
    for channel in channels:
        channel.close()

    assert codes <= {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE}
    assert memory.growth() < 160 * MIB


@asynccontextmanager
async def receiving(folder: InboxFolder, ledger: Ledger) -> AsyncIterator[str]:
    """The real receiver in this event loop, where its deadlines can be shortened."""
    with folder.opened(ledger) as inbox:
        door = Admission(inbox, ledger, max_request_bytes=LIMIT, max_bytes_in_flight=LIMIT, retry_after=2)
        receiver = GrpcReceiver(host="127.0.0.1", port=0, max_connections=100, max_request_bytes=LIMIT)
        calling_project.set("default")  # as the gate does for each call
        async with receiver, receiver.serving(door):
            yield f"127.0.0.1:{receiver.port}"


async def test_t28_a_message_that_dribbles_is_given_up_so_that_its_client_may_come_again(
    inbox_folder: InboxFolder, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_reading, "READ_SECONDS", 0.2)

    def half_a_message(target: str) -> dict[str, str]:
        with RawCall(target) as call:
            call.http2.send_data(call.begin(), struct.pack(">BI", 0, len(BODY)) + BODY[:10])
            call.send()
            return call.trailers()

    async with receiving(inbox_folder, ledger) as target:
        trailers = await asyncio.to_thread(half_a_message, target)

    assert trailers["grpc-status"] == str(grpc.StatusCode.UNAVAILABLE.value[0])
    assert "google.rpc.retryinfo-bin" in trailers


async def test_t28_who_finds_no_place_is_told_to_come_again(
    inbox_folder: InboxFolder, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_reading, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(grpc_reading, "READERS_PER_PLACE", 1)

    def beside_half_a_message(target: str) -> grpc.Call:
        with RawCall(target) as call, grpc.insecure_channel(target) as channel:
            call.http2.send_data(call.begin(), struct.pack(">BI", 0, len(BODY)) + BODY[:10])
            call.send()
            until(lambda: is_refused(channel))  # as soon as the half has arrived
            return refusal_of(channel, BODY)

    async with receiving(inbox_folder, ledger) as target:
        refusal = await asyncio.to_thread(beside_half_a_message, target)

    assert refusal.code() == grpc.StatusCode.UNAVAILABLE
    assert retry_seconds(refusal) == 2


async def test_t28_what_a_client_gave_up_waiting_for_still_counts_until_it_is_done(
    inbox_folder: InboxFolder, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or whoever gives up soon and comes again could fill the memory with bodies, and the threads with work."""
    may_end = threading.Event()

    def rewrite(*_: object) -> InspectedRequest:
        assert may_end.wait(60)
        return InspectedRequest(body=BODY, item_count=1)

    monkeypatch.setattr(admission, "inspect", lambda *_: None)
    monkeypatch.setattr(admission, "rewrite", rewrite)

    def answers(target: str) -> list[grpc.StatusCode]:
        body = bytes(LIMIT * 2 // 3)
        with grpc.insecure_channel(target) as channel:
            impatient = channel.unary_unary(EXPORT, bytes, bytes).future(body, timeout=1)
            codes = [impatient.code(), refusal_of(channel, body).code()]
            may_end.set()
            return codes

    async with receiving(inbox_folder, ledger) as target:
        codes = await asyncio.to_thread(answers, target)

    assert codes == [grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE]


async def test_a_fault_of_ours_is_unavailable_and_never_unknown(
    inbox_folder: InboxFolder, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(admission, "inspect", break_down)

    def refused(target: str) -> grpc.Call:
        with grpc.insecure_channel(target) as channel:
            return refusal_of(channel, BODY)

    async with receiving(inbox_folder, ledger) as target:
        refusal = await asyncio.to_thread(refused, target)

    assert refusal.code() == grpc.StatusCode.UNAVAILABLE
    assert retry_seconds(refusal) == 2
    assert "ZeroDivisionError" in (refusal.details() or "")
    assert len(caplog.records) == 1


def retry_seconds(refusal: grpc.Call) -> int:
    metadata = {key: value for key, value in refusal.trailing_metadata() or () if isinstance(value, bytes)}
    return int(RetryInfo.FromString(metadata["google.rpc.retryinfo-bin"]).retry_delay.seconds)


def test_answers_are_compressed_for_those_who_understand(server: RunningServer) -> None:
    bad = [plain_span("b" * 200, trace_id=os.urandom(5)) for _ in range(20)]
    body = otlp_request(*bad, plain_span()).SerializeToString()
    with RawCall(server.grpc_target) as call:
        stream = call.begin(("grpc-accept-encoding", "gzip"))
        call.http2.send_data(stream, struct.pack(">BI", 0, len(body)) + body, end_stream=True)
        call.send()

        assert call.trailers()["grpc-encoding"] == "gzip"


def test_the_http_port_still_answers_beside_all_this(server: RunningServer) -> None:
    assert httpx.get(f"{server.url}/readyz").status_code == 200
