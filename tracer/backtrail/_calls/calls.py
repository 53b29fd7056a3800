"""One call of a decorated function: begin, the user's function, end.

    decorator → **wrap** → begin → function → leave

The same few lines serve runs, agents and steps: each begins with an activity that can be entered
and left. In a replay a step's activity may be answered from the record instead (`replayed_step`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from backtrail import _late
from backtrail._boundary import never_raise
from backtrail._calls.appearance import lend_methods
from backtrail._contexts.call_context import check_context
from backtrail._interceptors.intercepted import StandIn
from backtrail._interceptors.intercepted_streams import guard_of
from backtrail._interceptors.interception import intercepted, intercepted_async, unrecorded
from backtrail._payloads.roundtrip import recorded_copy, roundtrip
from backtrail._processes import tasks
from backtrail._replay.replayed_step import answer_or_drive, answer_or_run, decide
from backtrail._runs.scope import current_position
from backtrail._streams.streams import mark, nature_of, streamed

from .coroutines import is_coroutine_function, mark_coroutine
from .modules import name_of, qualname_of

if TYPE_CHECKING:
    from backtrail._interceptors.interceptors import Interceptor
    from backtrail._runs.run import RunRuntime
    from backtrail._spans.span import RecordedSpan
    from backtrail._streams.chunks import Chunks

    from .block import Within
    from .signature import Signature

R = TypeVar("R")

_ACKNOWLEDGEMENT_SECONDS = 2.0
_SECONDS_WHILE_AWAY = 0.2

_marking = never_raise("saying what a decorated function is")
_beginning = never_raise("beginning a recording")
_entering = never_raise("entering a recording")
_ending = never_raise("ending a recording")


class Leaving(Protocol):
    """What ends with a block."""

    @property
    def given_result(self) -> Any: ...
    def leave_block(self) -> None: ...
    def leave_failed(self, error: BaseException) -> None: ...


class Activity(Leaving, Protocol):
    """A run, an agent or a step, as a call goes through it."""

    @property
    def runtime(self) -> RunRuntime: ...
    @property
    def waits_before(self) -> bool: ...
    @property
    def waits_after(self) -> bool: ...
    @property
    def span(self) -> RecordedSpan | None: ...
    @property
    def interceptors(self) -> tuple[Interceptor, ...]: ...
    def enter(self) -> None: ...
    def pause(self) -> Within: ...
    def come_back(self, within: Within) -> None: ...
    def leave(self, result: Any) -> None: ...
    def leave_stream(self, chunks: Chunks, result: Any, error: BaseException | None) -> None: ...


Opening = tuple[Any, tuple[Any, ...], dict[str, Any]]
Begin = Callable[[tuple[Any, ...], dict[str, Any], dict[str, Any]], Opening | None]
Prepared = tuple[Opening | None, Callable[..., Any]]


def wrap(
    function: Callable[..., Any],
    signature: Signature,
    begin: Begin,
    *,
    stand_in: Callable[[], StandIn] | None = None,
    begins_when_awaited: bool = False,
    body: Callable[..., Any] | None = None,
    outside: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None,
    stream: bool | None = None,
) -> Callable[..., Any]:
    """The function, recorded. `begin` is called at the call; None from it means: not recorded here.

    `stand_in` is then what its interceptors see. `body` runs in the function's place, if a call of it is more than one
    of the function.
    """
    is_async = is_coroutine_function(function)
    runs = body or function
    nature = nature_of(function, stream, is_async=is_async)
    guard = guard_of(nature, is_async=is_async)
    as_called = signature.as_called()

    def marked(plain: Callable[..., Any]) -> Callable[..., Any]:
        with _marking:
            if as_called is not None:
                plain.__signature__ = as_called  # type: ignore[attr-defined]
            lend_methods(plain, function)
            return mark_coroutine(plain) if is_async else mark(plain, nature)
        return plain

    def bare() -> Callable[..., Any]:
        return unrecorded(runs, guard, stand_in() if stand_in is not None else StandIn("step", name_of(function)))

    def prepare(args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Prepared:
        opening = _begin(begin, args, kwargs, options)
        if opening is None:
            return None, bare()
        return opening, guard(runs, opening[0]) if opening[0].interceptors else runs

    call_stream = streamed(runs, prepare, nature, begins_late=begins_when_awaited) if nature is not None else None

    def named(coroutine: Any) -> Any:
        # Task frames are counted by the name of the coroutine: it has to be the user's.
        coroutine.__name__, coroutine.__qualname__ = name_of(function), qualname_of(function)
        return coroutine

    @functools.wraps(function)
    def within(*args: Any, **kwargs: Any) -> Any:
        # If even the run could not be recorded there is none here, and starting another would never end.
        return decorated(*args, **kwargs) if current_position.get() is not None else function(*args, **kwargs)

    as_run: Any = None

    def called_with(options: dict[str, Any]) -> Callable[..., Any]:
        # This frame and that of `run`, no more: tracebacks have readers, and recursion a limit.
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal as_run
            if outside is not None and current_position.get() is None:
                as_run = as_run or outside(marked(within))
                return as_run.with_options(**options)(*args, **kwargs)
            if call_stream is not None:
                return call_stream(args, kwargs, options)
            if is_async and begins_when_awaited:
                return named(_begin_and_drive(runs, bare, begin, args, kwargs, options))
            opening = _begin(begin, args, kwargs, options)
            if opening is None:
                return bare()(*args, **kwargs)
            activity, decision = opening[0], decide(opening[0])
            if is_async:
                driven = _drive(runs, *opening)
                return named(driven if decision is None else answer_or_drive(decision, activity, driven))
            if decision is not None:
                return answer_or_run(decision, activity, functools.partial(_run, runs, *opening))
            return _run(runs, *opening)

        return marked(wrapper)

    def with_options(**options: Any) -> Callable[..., Any]:
        _check_options(options)
        return called_with({name: value for name, value in options.items() if value is not None})

    decorated = called_with({})
    if begins_when_awaited or outside is not None:
        decorated.with_options = with_options  # type: ignore[attr-defined]
        decorated.starts_runs = True  # type: ignore[attr-defined]
    return decorated


def _check_options(options: dict[str, Any]) -> None:
    unknown = options.keys() - {"context", "state", "conversation_id"}
    if unknown:
        raise TypeError(f"with_options() got an unexpected keyword argument {min(unknown)!r}")
    check_context(options.get("context"))


def _begin(begin: Begin, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Opening | None:
    with _beginning:
        return begin(args, kwargs, options)
    return None


def _run(function: Callable[..., R], activity: Activity, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
    if activity.interceptors:
        function = intercepted(function, activity)
    with _entering:
        activity.enter()
        if activity.waits_before:
            acknowledge(activity)
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        with _ending:
            activity.leave_failed(error)
        raise
    with _ending:
        activity.leave(result)
        if activity.waits_after:
            acknowledge(activity)
    return recorded_copy(activity, result) if roundtrip.is_on else result


def acknowledge(activity: Activity) -> None:
    """Wait until what was recorded is safe from a crash; not long, and hardly at all while the server is away."""
    recorder = activity.runtime.recorder
    is_away = recorder.sink is not None and recorder.sink.is_failing
    recorder.secure(_SECONDS_WHILE_AWAY if is_away else _ACKNOWLEDGEMENT_SECONDS)


async def _drive(
    function: Callable[..., Any], activity: Activity, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if activity.interceptors:
        function = intercepted_async(function, activity)
    with _entering:
        activity.enter()
        tasks.join_loop(activity.runtime.loops)
        if activity.waits_before:
            await _late.asyncio.get_running_loop().run_in_executor(None, acknowledge, activity)
    try:
        result = await function(*args, **kwargs)
    except BaseException as error:
        with _ending:
            activity.leave_failed(error)
        raise
    with _ending:
        activity.leave(result)
        if activity.waits_after:
            await _late.asyncio.get_running_loop().run_in_executor(None, acknowledge, activity)
    return recorded_copy(activity, result) if roundtrip.is_on else result


async def _begin_and_drive(
    function: Callable[..., Any],
    bare: Callable[[], Callable[..., Any]],
    begin: Begin,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: dict[str, Any],
) -> Any:
    opening = _begin(begin, args, kwargs, options)
    if opening is None:
        return await bare()(*args, **kwargs)
    return await _drive(function, *opening)
