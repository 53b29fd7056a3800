"""How many gRPC messages are received at a time: each is in memory as a whole before anybody can look at it.

    client → **grpc_reading** → grpc_receiver → admission

A message that is not asked for stays with its client, held there by HTTP/2's flow control. So the asking is bounded.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from backtrail_ingest.errors import Disconnected, Overloaded

WAIT_SECONDS = 2
READ_SECONDS = 10  # no exporter waits longer for its answer
READERS_PER_PLACE = 4  # few messages are as large as they may be


class Reading:
    """As many places as messages of the largest size fit into the bytes in flight, and four readers for each."""

    def __init__(self, *, max_request_bytes: int, max_bytes_in_flight: int) -> None:
        places = max(1, max_bytes_in_flight // max_request_bytes)
        self._turns = asyncio.Semaphore(places * READERS_PER_PLACE)

    async def read(self, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        """The one message of a unary call. To iterate would leave it in a cycle, for the garbage collector to find."""
        async with self._turn():
            try:
                async with asyncio.timeout(READ_SECONDS):
                    message = await context.read()
            except TimeoutError as error:
                raise Overloaded(f"the request did not arrive within {READ_SECONDS} seconds") from error
        if isinstance(message, bytes):
            return message
        raise Disconnected("the call ended before its message, or the message was too large")

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError as error:
            raise Overloaded("other requests are being received") from error
        try:
            yield
        finally:
            self._turns.release()
