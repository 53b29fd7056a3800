"""How long a client may take and how many there may be: uvicorn's protocol, with deadlines.

    process → **patience** → uvicorn → app

uvicorn waits for ever for the end of a request's head, for a body, and for a reader who does not read. An OTLP body has
its own, shorter, time in the receiver, where it can be answered.
"""

from asyncio import BaseTransport, TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10
BODY_SECONDS = 40
READ_SECONDS = 30
READ_BYTES = 1 << 16  # in READ_SECONDS, or the reader is given up
HEAD_BYTES = 1 << 16
HEADERS = 200  # small ones take twenty times their size in memory
WAITING_REQUESTS = 16  # sent on one connection before the answers that come first
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class TooManyWaiting(Exception):
    """Tells the parser to stop; the connection is closed by then."""


class PatientProtocol(HttpToolsProtocol):
    def __init__(self, *args: Any, max_connections: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._max_connections = max_connections
        self._deadline: float | None = None  # for the head or the body that is under way
        self._timer: TimerHandle | None = None  # comes seldom: it looks at the deadline that holds by then
        self._reader_timer: TimerHandle | None = None
        self._fruitless_bytes = 0  # since the last end of a head or piece of a body

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > self._max_connections:
            self.transport.write(BUSY)
            self.transport.close()
        else:
            self._expect(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._timer, self._reader_timer):
            if timer is not None:
                timer.cancel()
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        self._fruitless_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._fruitless_bytes > HEAD_BYTES:
            self._refuse_head(f"is larger than {HEAD_BYTES} bytes")
        elif self.headers is not None and len(self.headers) > HEADERS:
            self._refuse_head(f"has more than {HEADERS} headers")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._fruitless_bytes = 0
        if len(self.pipeline) > WAITING_REQUESTS:
            self.transport.abort()
            raise TooManyWaiting  # or the parser would go on to those behind it, thousands of which fit into one packet
        self._expect(BODY_SECONDS)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._fruitless_bytes = 0

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._fruitless_bytes = 0
        self._deadline = None

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _refuse_head(self, fault: str) -> None:
        """Endless headers, trailers or chunk extensions are kept in memory as they come."""
        if self.cycle is None or self.cycle.response_complete:
            self.send_400_response(f"The head of the request {fault}.")
        else:
            self.transport.abort()

    def _expect(self, seconds: float) -> None:
        self._deadline = self.loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self.loop.call_at(self._deadline, self._look_at_deadline)

    def _look_at_deadline(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self.flow.read_paused:  # it is we who do not read
            self._expect(HEAD_SECONDS)
            return
        if self._deadline > self.loop.time():
            self._timer = self.loop.call_at(self._deadline, self._look_at_deadline)
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._watch_reader()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _watch_reader(self) -> None:
        if self._reader_timer is None:
            unread = self.transport.get_write_buffer_size()
            self._reader_timer = self.loop.call_later(READ_SECONDS, self._look_at_reader, unread)

    def _look_at_reader(self, unread_before: int) -> None:
        self._reader_timer = None
        if self.transport.get_write_buffer_size() > unread_before - READ_BYTES:
            self.transport.abort()
        else:
            self._watch_reader()
