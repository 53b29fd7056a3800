"""Calls that another process makes: a pickled task that takes the run along.

    ProcessPoolExecutor, Pool, Process → Sender → **Sent** → pickled → the other process joins the run

A spawned process knows nothing of `configure()`, so its settings go along too. The user's function and arguments are
pickled as they would be without us, and fail as they would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from typing import Any

from opentelemetry import baggage
from opentelemetry.context import Context

from backtrail._boundary import complain, never_raise
from backtrail._configure import configure, configured_with, is_configured
from backtrail._interceptors.interceptors import InterceptContext, Interceptor, InterceptResult, Phase
from backtrail._runs.scope import Position

from .baggage import PREFIX
from .caller import Caller, remote_frames
from .joined import Join, JoinedRuntime, join_run

_DELIVERY_SECONDS = 2.0
# What a program has besides us in its own process; the rest says what may leave it, and is needed or nothing is sent.
_OF_THIS_PROCESS = ("tracer_provider", "exporters", "span_processors", "interceptors")


class OutOfReach(Interceptor):
    """Stands for one that cannot be pickled: where it cannot be asked, nothing goes on."""

    def __init__(self, name: str) -> None:
        self._name = name

    def intercept(self, phase: Phase, context: InterceptContext) -> InterceptResult:
        return InterceptResult.stop(f"{self._name} cannot be asked in another process, because it cannot be pickled")


class Sent:
    """One call on its way. `is_last` is what a worker that may be killed between two calls has to deliver first."""

    def __init__(
        self,
        function: Callable[..., Any],
        caller: Caller,
        settings: dict[str, Any] | None,
        beside: dict[str, str],
        interceptors: tuple[Interceptor, ...],
        is_last: bool,
    ) -> None:
        self._function = function
        self._caller = caller
        self._settings = settings
        self._beside = beside
        self._interceptors = interceptors
        self._is_last = is_last

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        runtime, join = self._join()
        try:
            result = self._function(*args, **kwargs)
        except BaseException as error:
            if join is not None:
                join.leave_failed(error)
            self._deliver(runtime)
            raise
        if join is not None:
            join.leave_block()
        self._deliver(runtime)
        return result

    def _join(self) -> tuple[JoinedRuntime | None, Join | None]:
        with never_raise("joining a run in another process"):
            if self._settings is not None and not is_configured():
                configure(**self._settings)
            context = Context()
            for name, value in self._beside.items():
                context = baggage.set_baggage(name, value, context)
            runtime = join_run(self._caller, self._interceptors)
            join = Join(runtime, context)
            join.enter()
            return runtime, join
        return None, None

    def _deliver(self, runtime: JoinedRuntime | None) -> None:
        if runtime is None or not self._is_last or not runtime.number:
            return
        sink = runtime.recorder.sink
        if sink is not None and not sink.is_failing:
            runtime.recorder.flush(_DELIVERY_SECONDS)


class Sender:
    """Sends calls from one place in a run; each gets a scope of its own."""

    def __init__(self, position: Position, *, is_last: bool = False) -> None:
        self._position = position
        self._caller = Caller.of(position)
        self._is_first = True
        self._settings = _portable_settings()
        self._beside = {name: str(value) for name, value in baggage.get_all().items() if not name.startswith(PREFIX)}
        self._interceptors = tuple(map(_within_reach, position.interceptors))
        self._is_last = is_last

    def send(self, function: Callable[..., Any]) -> Sent:
        caller = self._caller
        if not self._is_first:
            scope, runtime = self._position.scope, self._position.runtime
            with runtime.lock:
                number = scope.count("remote")
            caller = replace(caller, frames=remote_frames(scope.frames, number))
        self._is_first = False
        return Sent(function, caller, self._settings, self._beside, self._interceptors, self._is_last)


def _portable_settings() -> dict[str, Any] | None:
    """The arguments of `configure()` as far as they can go along; None if one that must cannot."""
    arguments = configured_with()
    if arguments is None:
        return None
    portable = {name: value for name, value in arguments.items() if name not in _OF_THIS_PROCESS}
    for name, value in portable.items():
        if not _is_portable(value):
            message = "%s= of configure() cannot be pickled: a spawned process records only what it configures itself"
            complain("settings of one process", message, name)
            return None
    return portable


def _within_reach(interceptor: Interceptor) -> Interceptor:
    return interceptor if _is_portable(interceptor) else OutOfReach(type(interceptor).__qualname__)


def _is_portable(value: object) -> bool:
    if value is None or isinstance(value, str | int | float):
        return True
    try:
        ForkingPickler.dumps(value)
    except Exception:
        return False
    return True
