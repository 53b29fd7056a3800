"""How the process keeps memory: what the C library gives back, and when Python looks for garbage.

    process, app → **memory**

A request's body is a megabyte or two, and by default glibc takes each from the kernel and gives it back: every body,
every copy and every batch then pays for fresh zeroed pages. Kept instead, checking a 3 KB span costs 1.3 µs, not 3.9.
It is given back when nothing has arrived for a while. ClickHouse brings an allocator of its own, which does all that.

An answer about ten thousand spans makes a hundred thousand objects that are no garbage; looking for some every 700
objects doubles its time.
"""

import asyncio
import ctypes
import gc
import sys
from contextlib import AbstractAsyncContextManager

from backtrail_ingest import Ledger
from backtrail_server.beside import meanwhile

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
IDLE_SECONDS = 10


def keep_freed_memory(*, largest_block: int = 32 << 20, most_kept: int = 256 << 20) -> None:
    """Blocks up to `largest_block` bytes come from the heap, which shrinks only beyond `most_kept` free bytes."""
    _call_glibc("mallopt", _M_MMAP_THRESHOLD, largest_block)
    _call_glibc("mallopt", _M_TRIM_THRESHOLD, most_kept)


def giving_memory_back(ledger: Ledger) -> AbstractAsyncContextManager[None]:
    return meanwhile(_give_back_when_idle(ledger))


async def _give_back_when_idle(ledger: Ledger) -> None:
    given_back_at = 0
    before = 0
    while True:
        await asyncio.sleep(IDLE_SECONDS)
        received = ledger.received
        if received == before != given_back_at and not ledger.waiting:
            await asyncio.to_thread(_call_glibc, "malloc_trim", 0)
            given_back_at = before
        before = received


def _call_glibc(name: str, *arguments: int) -> None:
    """Nothing elsewhere: musl and other systems have no such functions."""
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
    if function is not None:
        function(*arguments)


def collect_seldom() -> None:
    """What is loaded by now stays; afterwards a search for cycles comes every 100,000 objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
