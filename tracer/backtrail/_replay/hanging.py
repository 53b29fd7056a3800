"""Steps that were cancelled when they were recorded wait to be cancelled again.

    Replay.on_call → **hanging** → the winner of the race, or its timeout, cancels

Run live, a loser could win. It is given up only when nothing is left that could end its waiting: no step that runs
or waits for its turn, and no timer.
"""

import asyncio
import threading

from .release import Release

HUNG_GRACE = 2.0  # seconds in which nothing moves


class Activity:
    """Whether anything still moves in a replay: what a hung step watches to notice that it waits for nothing."""

    def __init__(self) -> None:
        self.renew()
        self._live: set[str] = set()
        self._moves = 0

    def renew(self) -> None:
        """In a forked process: nobody is left to release what was held."""
        # A dropped stream ends its step wherever memory is collected: in a thread, maybe, that holds the lock as well.
        self._lock = threading.RLock()

    @property
    def moves(self) -> int:
        return self._moves

    @property
    def is_quiet(self) -> bool:
        return not self._live

    def moved(self) -> None:
        with self._lock:
            self._moves += 1

    def began(self, step_key: str) -> None:
        with self._lock:
            self._moves += 1
            self._live.add(step_key)

    def ended(self, step_key: str) -> bool:
        """Whether the step was one that ran."""
        with self._lock:
            self._moves += 1
            was_live = step_key in self._live
            self._live.discard(step_key)
            return was_live


class _Watch:
    """A timer of ours, to be told from the program's own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.passed: asyncio.Future[None] = loop.create_future()

    def wake(self) -> None:
        if not self.passed.done():
            self.passed.set_result(None)


async def hang(activity: Activity, release: Release) -> None:
    """Wait to be cancelled. Returns only when nothing was left that could do it."""
    loop = asyncio.get_running_loop()
    while True:
        before, watch = activity.moves, _Watch(loop)
        timer = loop.call_later(HUNG_GRACE, watch.wake)
        try:
            await watch.passed
        finally:
            timer.cancel()
        if activity.moves == before and activity.is_quiet and release.is_empty and not _has_timers(loop):
            return


def _has_timers(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the program has set a timer; a loop that cannot be asked may have one."""
    timers = getattr(loop, "_scheduled", None)
    return timers is None or any(not timer.cancelled() and not _is_ours(timer) for timer in timers)


def _is_ours(timer: asyncio.TimerHandle) -> bool:
    return isinstance(getattr(getattr(timer, "_callback", None), "__self__", None), _Watch)
