"""Work that takes long, done in threads while the others' requests are answered.

    http_receiver (JSON), admission (inspection, rewriting) → **apart**

One at a time in each lane, because each takes memory. Projects take turns, since of each only one waits for the lane
itself; and what is small never waits for what is large, whoever sent it.
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

P = ParamSpec("P")
T = TypeVar("T")

SMALL_BYTES = 1 << 18  # a second's work at the very worst


class Lane:
    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._turns_of: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self, project: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Not to be cancelled: the thread would go on, beside the next one."""
        turn_of_project = self._turns_of.setdefault(project, asyncio.Lock())
        async with turn_of_project, self._turn:
            return await asyncio.to_thread(work, *args, **kwargs)


class Apart:
    """`looking` is for large requests that are only looked at, which takes a tenth as long as the others."""

    def __init__(self) -> None:
        self.looking = Lane()
        self._small, self._large = Lane(), Lane()

    def lane(self, size: int) -> Lane:
        return self._small if size <= SMALL_BYTES else self._large
