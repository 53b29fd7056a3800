"""What a serving process does beside serving, for as long as it serves.

app → **beside** → pricing, retention, keyring, memory
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The work goes on while this is entered, and is cancelled then."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def repeated(do: Callable[[], None], *, pause: float) -> AsyncIterator[None]:
    """Done at once and again after each pause, in a thread. When this is left, what is being done is waited for."""
    ending = asyncio.Event()
    task = asyncio.create_task(_repeat(do, pause, ending))
    try:
        yield
    finally:
        ending.set()
        await task


async def _repeat(do: Callable[[], None], pause: float, ending: asyncio.Event) -> None:
    while not ending.is_set():
        await asyncio.to_thread(do)
        with suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), pause)
