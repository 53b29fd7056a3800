"""In which turn of the event loop a step ended: what decides a race when several end almost at once.

    step ends → **turn** → backtrail.step.end_batch → release

Steps that end in one turn are found together by whoever waits for the first of them; those a turn or two later may
be as well. So a replay has to keep these distances, and not only the order. The count runs while steps end, and a
pause is one jump: what lies further apart than `FAR` cannot meet.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from backtrail import _late

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

FAR = 4


class TurnClock:
    """The turns of one run. Read under the run's lock; a second event loop of the run reads it without moving it."""

    __slots__ = ("_idle_turns", "_loop", "_turn")

    def __init__(self) -> None:
        self._turn = 0
        self._idle_turns = 0
        self._loop: AbstractEventLoop | None = None

    def read(self) -> int:
        """The present turn; keeps the clock going for a few turns more."""
        # The one that raises where there is no loop takes as long as everything else that a step's end counts.
        loop = _late.asyncio._get_running_loop() if "asyncio" in sys.modules else None
        if loop is None:
            return self._turn
        if self._loop is None or self._loop.is_closed():
            self._loop = loop
            self._turn += FAR
            loop.call_soon(self._next, loop)
        self._idle_turns = 0
        return self._turn

    def _next(self, loop: AbstractEventLoop) -> None:
        self._turn += 1
        self._idle_turns += 1
        if self._idle_turns < FAR:
            loop.call_soon(self._next, loop)
        else:
            self._loop = None
