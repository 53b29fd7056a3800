"""OTLP over gRPC: Export of each signal's service, the request left as bytes. The same duties as HTTP, in gRPC's codes.

    client → **grpc_receiver** → admission → inspection → inbox → OK

Other services (metrics, profiles) are UNIMPLEMENTED, so their clients drop without trying again.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Self

import grpc
import grpc.aio

from backtrail_ingest.admission import Admission
from backtrail_ingest.errors import Overloaded, Refusal
from backtrail_ingest.receivers.grpc_reading import Reading
from backtrail_ingest.receivers.ports import listening_socket
from backtrail_ingest.receivers.status import response_of, retry_info, status_bytes
from backtrail_ingest.signals import SIGNALS, WHAT_IS_TAKEN, Signal

CLOSING_SECONDS = 3
HANDSHAKE_SECONDS = 10
IDLE_SECONDS = 600
STREAMS_PER_CONNECTION = 100

calling_project: ContextVar[str] = ContextVar("calling_project")  # set by an interceptor
RETRY_INFO_KEY = "google.rpc.retryinfo-bin"  # the only one the Python exporter reads
STATUS_KEY = "grpc-status-details-bin"  # the one of the specification: Go, Java

Abort = tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]


class ExportService:
    """The service of one signal."""

    def __init__(self, signal: Signal, admission: Admission, reading: Reading) -> None:
        self._signal = signal
        self._admission = admission
        self._reading = reading
        self._answering: set[asyncio.Task[bytes | Abort]] = set()

    async def export(self, _: object, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        """A unary call, taken as a stream of one message: a stream's message is received when it is asked for.

        A client that goes away does not end the work on what it sent: a thread would go on with it, uncounted.
        """
        answering = asyncio.create_task(self._answer(context))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)
        answer = await asyncio.shield(answering)
        if not isinstance(answer, bytes):
            # Not while the refusal is handled: the abort's traceback would keep it, and with it the message.
            await context.abort(*answer)
        return answer

    async def _answer(self, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes | Abort:
        try:
            project = calling_project.get()
            with self._admission.room(project) as room:
                body = await self._reading.read(context)
                room.add(len(body))
                receipt = await self._admission.receive(project, body, self._signal)
            return response_of(self._signal, receipt).SerializeToString()
        except Refusal as refusal:
            return refusal.grpc_status, str(refusal), self._trailing_metadata(refusal)

    def _trailing_metadata(self, refusal: Refusal) -> tuple[tuple[str, bytes], ...]:
        retry_after = self._admission.retry_after if isinstance(refusal, Overloaded) else None
        status = (STATUS_KEY, status_bytes(refusal.grpc_status, str(refusal), retry_after=retry_after))
        if retry_after is None:
            return (status,)
        return status, (RETRY_INFO_KEY, retry_info(retry_after).SerializeToString())


class OtherServices(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Metrics, say. UNIMPLEMENTED makes their exporters stop trying; the sentence is for who reads their log."""

    def service(self, call: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        return grpc.stream_unary_rpc_method_handler(self._refuse)

    async def _refuse(self, _: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, WHAT_IS_TAKEN)


class GrpcReceiver:
    """Takes its port when it is made: a taken port is known before anything is opened. Serves within `serving`."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        max_request_bytes: int,
        max_connections: int,
        interceptors: "Sequence[grpc.aio.ServerInterceptor[Any, Any]]" = (),
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        # gRPC would say the same with a stack trace and a line of its own in the log.
        listening_socket(host, port, setting="--grpc-port or BACKTRAIL_GRPC_PORT").close()
        self._server = grpc.aio.server(
            interceptors=interceptors,
            compression=grpc.Compression.Gzip,  # for clients that understand it
            options=[
                ("grpc.max_receive_message_length", max_request_bytes),
                ("grpc.http2.bdp_probe", 0),  # or what nobody asked for would be received by the megabyte
                ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION),
                (
                    "grpc.max_allowed_incoming_connections",
                    max_connections,
                ),  # each is an open file, of which others need some
                ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
                ("grpc.max_connection_idle_ms", IDLE_SECONDS * 1000),
                ("grpc.so_reuseport", 0),  # or a second server would share the port, and half of the spans
            ],
        )
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)

    @asynccontextmanager
    async def serving(self, admission: Admission) -> AsyncIterator[None]:
        reading = Reading(
            max_request_bytes=admission.max_request_bytes, max_bytes_in_flight=admission.max_bytes_in_flight
        )
        for signal in SIGNALS.values():
            export = grpc.stream_unary_rpc_method_handler(ExportService(signal, admission, reading).export)
            handler = grpc.method_handlers_generic_handler(signal.service, {"Export": export})
            self._server.add_generic_rpc_handlers([handler])
        self._server.add_generic_rpc_handlers([OtherServices()])
        await self._server.start()
        try:
            yield
        finally:
            await self._server.stop(CLOSING_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(CLOSING_SECONDS)
