"""What `run(…)`, `agent(…)` and `step(…)` have in common: each makes a decorator that is also a block.

@step above a function, or `with step(…)` → **Spec** → RunSpec, AgentSpec, StepSpec
"""

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar, cast

from ._boundary import never_raise
from ._calls import Decorated, Leaving
from ._managers import maker_of, remade

R = TypeVar("R")

Place = tuple[int, object]


class Entered:
    """What can be entered as a block, in several tasks and threads at a time, and ends what it began in each."""

    def __init__(self) -> None:
        self._entered: list[tuple[Place, Leaving | None]] = []

    def keep(self, activity: Leaving | None) -> None:
        self._entered.append((_place(), activity))

    def _leave(self, error: BaseException | None) -> None:
        # One object may be a block in several tasks and threads at a time.
        here = _place()
        entry = next((entry for entry in reversed(self._entered) if entry[0] == here), self._entered[-1])
        self._entered.remove(entry)
        activity = entry[1]
        if activity is None:
            return
        with never_raise("ending a recording"):
            if error is None:
                activity.leave_block()
            else:
                activity.leave_failed(error)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._leave(error)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._leave(error)


class Spec(Entered):
    """What the three have in common: methods of every kind can be decorated, and blocks end what they began."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self._name = name

    @abstractmethod
    def _decorate(self, function: Callable[..., R]) -> Decorated[R]:
        """The function, recorded."""

    def __call__(self, function: Callable[..., R]) -> Decorated[R]:
        if isinstance(function, staticmethod | classmethod):
            return cast("Decorated[R]", type(function)(self._decorate(function.__func__)))
        if not callable(function):
            raise TypeError(f"a function is what can be decorated, not {function!r}")
        if (make := maker_of(function)) is not None:
            return cast("Decorated[R]", remade(make, self._decorate(function.__wrapped__)))  # type: ignore[attr-defined]
        return self._decorate(function)


def _place() -> Place:
    """The thread and the task this is called in."""
    try:
        return threading.get_ident(), asyncio.current_task()
    except RuntimeError:
        return threading.get_ident(), None
