"""What `run(…)`, `agent(…)` and `step(…)` have in common: each makes a decorator that is also a block.

@step above a function, or `with step(…)` → **Spec** → RunSpec, AgentSpec, StepSpec
"""

from __future__ import annotations

import sys
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar

from backtrail import _late
from backtrail._boundary import never_raise
from backtrail._calls.decorated import Decorated, DecoratedAgent
from backtrail._interceptors.intercepted import Intercepted, StandIn
from backtrail._interceptors.interception import Interception, ending, ending_if_stopped, finished, of_block
from backtrail._interceptors.interceptors import InterceptedKind, Interceptor, checked

from .calls import Activity, Leaving
from .managers import maker_of, remade

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")

Place = tuple[int, object]


@dataclass(slots=True, eq=False)
class Begun:
    """A block that is open. `activity` is None where nothing is recorded."""

    activity: Leaving | None
    intercepted: Intercepted | None
    inputs: Any
    place: Place = field(default_factory=lambda: _place())
    interception: Interception | None = None

    @property
    def given_result(self) -> Any:
        return self.activity.given_result if self.activity is not None else None


class Entered:
    """What can be entered as a block, in several tasks and threads at a time, and ends what it began in each."""

    def __init__(self) -> None:
        self._entered: list[Begun] = []

    def keep(self, activity: Leaving | None, intercepted: Intercepted | None = None, inputs: Any = None) -> None:
        self._entered.append(Begun(activity, intercepted, inputs))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        begun = self._here()
        with ending(partial(self._end, begun), error):
            if begun.interception is not None:
                finished(begun.interception.after(begun.given_result, error))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        begun = self._here()
        with ending(partial(self._end, begun), error):
            if begun.interception is not None:
                await begun.interception.after(begun.given_result, error)

    def _here(self) -> Begun:
        # One object may be a block in several tasks and threads at a time.
        here = _place()
        return next((begun for begun in reversed(self._entered) if begun.place == here), self._entered[-1])

    def _end(self, begun: Begun, error: BaseException | None) -> None:
        self._entered.remove(begun)
        activity = begun.activity
        if activity is None:
            return
        with never_raise("ending a recording"):
            if error is None:
                activity.leave_block()
            else:
                activity.leave_failed(error)


class Spec(Entered, Generic[C]):
    """What the three have in common: methods of every kind can be decorated, and blocks have interceptors."""

    def __init__(self, name: str | None = None, interceptors: Iterable[Interceptor] = ()) -> None:
        super().__init__()
        self._name = name
        self._interceptors = checked(interceptors)

    @abstractmethod
    def _decorate(self, function: Callable[..., Any]) -> Any:
        """The function, recorded."""

    def _recorded(self, function: Any) -> Any:
        if isinstance(function, staticmethod | classmethod):
            return type(function)(self._decorate(function.__func__))
        if not callable(function):
            raise TypeError(f"a function is what can be decorated, not {function!r}")
        if (make := maker_of(function)) is not None:
            return remade(make, self._decorate(function.__wrapped__))
        return self._decorate(function)

    @abstractmethod
    def _open(self) -> C:
        """Begin a block, keep what was begun, and give what `as` names."""

    def _keep(self, activity: Activity, inputs: Any = None) -> None:
        self.keep(activity, activity, inputs)

    def _keep_nothing(self, kind: InterceptedKind, inputs: Any = None) -> None:
        self.keep(None, StandIn(kind, self._name or kind, self._interceptors), inputs)

    def __enter__(self) -> C:
        given, begun = self._begin(waits=False)
        if begun.interception is not None:
            with ending_if_stopped(partial(self._end, begun)):
                finished(begun.interception.before())
        return given

    async def __aenter__(self) -> C:
        given, begun = self._begin(waits=True)
        if begun.interception is not None:
            with ending_if_stopped(partial(self._end, begun)):
                await begun.interception.before()
        return given

    def _begin(self, *, waits: bool) -> tuple[C, Begun]:
        given = self._open()
        begun = self._here()
        if begun.intercepted is not None:
            begun.interception = of_block(begun.intercepted, begun.inputs, waits=waits)
        return given, begun


class StepLikeSpec(Spec[C]):
    """A decorator of functions that take what the caller says, and contexts from the run."""

    def __call__(self, function: Callable[P, R]) -> Decorated[P, R]:
        decorated: Decorated[P, R] = self._recorded(function)
        return decorated


class AgentLikeSpec(Spec[C]):
    """The two that a context can be handed over to: runs and agents."""

    def __call__(self, function: Callable[P, R]) -> DecoratedAgent[P, R]:
        decorated: DecoratedAgent[P, R] = self._recorded(function)
        return decorated


def _place() -> Place:
    """The thread and the task this is called in."""
    if "asyncio" not in sys.modules or _late.asyncio._get_running_loop() is None:
        return threading.get_ident(), None
    return threading.get_ident(), _late.asyncio.current_task()
