"""Answers from the record reach waiting code in the order in which the steps ended when they were recorded.

    a step is called → Replay.on_call → **release** → the caller gets the answer

Which of two calls came first is a decision of the recorded run (`as_completed`, a race), so it is replayed as well.
Only what waits at the same time is ordered: a step that never comes again cannot hold the others up.
"""

import asyncio
import heapq
import threading
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from backtrail._runs.turns import FAR

from .bundle import StepRecord

IDLE_TURNS = 3  # turns of the event loop without a new arrival before the earliest batch goes


@dataclass(order=True, slots=True)
class _Waiting:
    batch: tuple[int, int]
    seq_end: int
    number: int
    future: "asyncio.Future[None]" = field(compare=False)


class Release:
    """The waiting hits of one replay; every event loop of the run has its own queue."""

    def __init__(self) -> None:
        self._pumps: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pump] = WeakKeyDictionary()
        self.renew()

    def renew(self) -> None:
        """In a forked process: nobody is left to release what was held."""
        self._lock = threading.Lock()

    async def wait(self, record: StepRecord) -> None:
        """Return when everything that ended before `record`, and waits now, has gone."""
        loop = asyncio.get_running_loop()
        with self._lock:
            pump = self._pumps.setdefault(loop, _Pump(loop))
        await pump.enqueue(record)

    @property
    def is_empty(self) -> bool:
        with self._lock:
            return all(pump.is_empty for pump in self._pumps.values())


class _Pump:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[_Waiting] = []
        self._arrived = 0
        self._seen = 0
        self._idle_turns = 0
        self._released: tuple[int, int] | None = None
        self._turns_since = 0
        self._is_running = False

    @property
    def is_empty(self) -> bool:
        return not self._heap

    def enqueue(self, record: StepRecord) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = self._loop.create_future()
        self._arrived += 1
        heapq.heappush(self._heap, _Waiting(record.release_order, record.seq_end or 0, self._arrived, future))
        if not self._is_running:
            self._is_running = True
            self._loop.call_soon(self._turn)
        return future

    def _turn(self) -> None:
        self._turns_since += 1
        self._idle_turns = self._idle_turns + 1 if self._seen == self._arrived else 0
        self._seen = self._arrived
        if self._is_due():
            self._release_lowest_batch()
        if self._heap or self._turns_since < FAR:
            self._loop.call_soon(self._turn)
        else:
            self._is_running, self._released = False, None

    def _is_due(self) -> bool:
        """Whether the lowest batch goes now: as long after the one before as recorded, or when nothing else moves."""
        if not self._heap:
            return False
        generation, turn = self._heap[0].batch
        if self._released is not None and self._released[0] == generation:
            distance = turn - self._released[1]
            if 0 <= distance < FAR:
                return distance <= self._turns_since
        return self._idle_turns >= IDLE_TURNS

    def _release_lowest_batch(self) -> None:
        batch = self._heap[0].batch
        while self._heap and self._heap[0].batch == batch:
            future = heapq.heappop(self._heap).future
            if not future.done():  # a waiter that was cancelled has left
                future.set_result(None)
        self._released, self._turns_since, self._idle_turns = batch, 0, 0
