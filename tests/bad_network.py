"""A network between two of ours that can be cut in the ways networks are: refused, blackholed, half-open.

refused     nobody listens any more, and open connections break
blackholed  everything is swallowed, both ways, and nobody is told
half-open   requests arrive, answers do not
"""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Literal

Condition = Literal["good", "refused", "blackholed", "half-open"]


class BadNetwork:
    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._condition: Condition = "good"
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._closed = asyncio.Event()
        self.port = 0

    def run(self, started: Future[None]) -> None:
        self._loop.run_until_complete(self._serve(started))
        self._loop.close()

    async def _serve(self, started: Future[None]) -> None:
        await self._listen()
        started.set_result(None)
        await self._closed.wait()
        await self._refuse()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    def become(self, condition: Condition) -> None:
        asyncio.run_coroutine_threadsafe(self._become(condition), self._loop).result(10)

    async def _become(self, condition: Condition) -> None:
        if condition == "refused":
            await self._refuse()
        elif self._condition == "refused":
            await self._listen()
        elif condition == "good":  # what hangs since then would hang on
            for writer in self._writers:
                writer.transport.abort()
        self._condition = condition

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closed.set)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        self._writers |= {writer, back}
        with suppress(OSError):
            await asyncio.gather(
                self._pump(reader, back, swallowed_in=("blackholed",)),
                self._pump(there, writer, swallowed_in=("blackholed", "half-open")),
            )
        for end in (writer, back):
            end.transport.abort()
            self._writers.discard(end)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, swallowed_in: tuple[Condition, ...]
    ) -> None:
        while piece := await reader.read(1 << 16):
            if self._condition not in swallowed_in:
                writer.write(piece)
                await writer.drain()
        if self._condition not in swallowed_in:
            writer.write_eof()


@contextmanager
def bad_network(host: str, port: int) -> Iterator[BadNetwork]:
    """Before `host:port`, at `127.0.0.1:network.port`; good until it is told otherwise."""
    network = BadNetwork(host, port)
    started: Future[None] = Future()
    thread = threading.Thread(target=network.run, args=[started])
    thread.start()
    started.result()
    try:
        yield network
    finally:
        network.close()
        thread.join()
