"""Functions that give items one by one: generators, async generators, and functions that return a stream.

    wrap → **which kind, and what a call of it gives** → streaming → consumer

A call is named and numbered where it is made; its span starts with the first item that is asked for. What nobody
begins to read leaves nothing. A function with `stream=True` runs at its call, so its span starts there.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from backtrail._calls.coroutines import HEEDS_OPCODES, with_flag
from backtrail._calls.modules import name_of, qualname_of
from backtrail._replay.decision import Hang, Raise, Served
from backtrail._replay.replayed_step import answer_or_drive, answer_or_run, decide

from .stream_objects import ServedAsyncIterator, ServedIterator, follow
from .streaming import NotRecorded, Recording, Streaming, generate, generate_async

if TYPE_CHECKING:
    from backtrail._calls.calls import Activity, Opening, Prepared
    from backtrail._replay.decision import Decision
    from backtrail._replay.replayed_stream import ReplayedStream

Nature = Literal["generator", "async generator", "stream", "async stream"]
T = TypeVar("T")

Function = Callable[..., Any]
Call = Callable[[tuple[Any, ...], dict[str, Any], dict[str, Any]], Any]
Prepare: TypeAlias = "Callable[[tuple[Any, ...], dict[str, Any], dict[str, Any]], Prepared]"
Planned: TypeAlias = "tuple[Activity | None, Callable[[], Any]]"
Plan: TypeAlias = Callable[[], Planned]

_FLAGS = {"generator": inspect.CO_GENERATOR, "async generator": inspect.CO_ASYNC_GENERATOR}


def nature_of(function: Function, stream: bool | None = None, *, is_async: bool = False) -> Nature | None:
    """How the function gives its items; None if it has one result."""
    if stream is False:
        return None
    body = function
    while isinstance(body, functools.partial):
        body = body.func
    if not inspect.isroutine(body):
        body = type(body).__call__
    if inspect.isasyncgenfunction(body):
        return "async generator"
    # A coroutine of the kind before `async def` is a generator too, but it is awaited and not read.
    is_awaited = getattr(getattr(body, "__code__", None), "co_flags", 0) & inspect.CO_ITERABLE_COROUTINE
    if inspect.isgeneratorfunction(body) and not is_awaited:
        return "generator"
    return ("async stream" if is_async else "stream") if stream else None


def streamed(function: Function, prepare: Prepare, nature: Nature, *, begins_late: bool) -> Call:
    """What a call does. `prepare` begins it at the call; if it `begins_late`, as a run does, with the first item."""
    match nature:
        case "generator":
            return _generator_call(function, prepare, generate, _open, begins_late=begins_late)
        case "async generator":
            return _generator_call(function, prepare, generate_async, _open_async, begins_late=begins_late)
        case "stream":
            return _object_call(prepare)
        case "async stream":
            return _async_object_call(function, prepare)


def mark(function: Function, nature: Nature | None) -> Function:
    """Have frameworks see the plain `def` for what it returns, where the interpreter allows it."""
    return with_flag(function, _FLAGS[nature]) if nature in _FLAGS and HEEDS_OPCODES else function


# --- Generator functions ------------------------------------------------------------------------------------


def _generator_call(
    function: Function, prepare: Prepare, drive: Function, open_body: Function, *, begins_late: bool
) -> Call:
    def call(args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Any:
        plan: Plan = functools.partial(_planned, prepare, args, kwargs, options)
        if not begins_late:
            activity, make_body = plan()
            body = make_body()
            if activity is None:
                return body
            plan = functools.partial(_same, (activity, functools.partial(_same, body)))
        held: list[_Held] = []
        items = drive(functools.partial(open_body, plan, held))
        held.append(_Held(items, _drop))
        items.__name__, items.__qualname__ = name_of(function), qualname_of(function)
        return items

    return call


class _Held(weakref.ref[Any]):
    """A generator in its consumer's hands. It lies in the generator's own frame, and so outlives its being dropped."""

    stream: Streaming | None = None


def _drop(held: _Held) -> None:
    if held.stream is not None:
        held.stream.drop()


def _planned(prepare: Prepare, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Planned:
    opening, function = prepare(args, kwargs, options)
    if opening is None:
        return None, functools.partial(function, *args, **kwargs)
    return opening[0], functools.partial(function, *opening[1], **opening[2])


def _same(thing: T) -> T:
    return thing


def _open(plan: Plan, held: list[_Held]) -> tuple[Recording, Any]:
    activity, make_body = plan()
    if activity is None:
        return NotRecorded(), make_body()
    decision = decide(activity)
    if decision is not None and (replayed := _answer(decision, activity)) is not None:
        return NotRecorded(), replayed.serve()
    held[0].stream = stream = Streaming(activity)
    stream.begin()
    return stream, _made(stream, make_body)


async def _open_async(plan: Plan, held: list[_Held]) -> tuple[Recording, Any]:
    activity, make_body = plan()
    if activity is None:
        return NotRecorded(), make_body()
    decision = decide(activity)
    if decision is not None and (replayed := await _answer_in_turn(decision, activity)) is not None:
        return NotRecorded(), replayed.serve_async()
    held[0].stream = stream = Streaming(activity)
    await stream.begin_async()
    return stream, _made(stream, make_body)


def _made(stream: Streaming, make_body: Callable[[], Any]) -> Any:
    try:
        return make_body()
    except BaseException as error:
        stream.fail_to_open(error)
        raise


def _answer(decision: Decision, activity: Any) -> ReplayedStream | None:
    from backtrail._replay.replayed_stream import answer_stream

    return answer_stream(decision, activity)


async def _answer_in_turn(decision: Decision, activity: Any) -> ReplayedStream | None:
    from backtrail._replay.replayed_stream import answer_stream_in_turn

    return await answer_stream_in_turn(decision, activity)


# --- Functions that return a stream -------------------------------------------------------------------------


def _object_call(prepare: Prepare) -> Call:
    def call(args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Any:
        opening, function = prepare(args, kwargs, options)
        if opening is None:
            return function(*args, **kwargs)
        decision, run = decide(opening[0]), functools.partial(_run, function, *opening)
        if decision is None:
            return run()
        if not _is_of_stream(decision):
            return answer_or_run(decision, opening[0], run)
        replayed = _answer(decision, opening[0])
        return run() if replayed is None else ServedIterator(replayed)

    return call


def _run(function: Function, activity: Activity, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    stream = Streaming(activity)
    stream.begin()
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        stream.fail_to_open(error)
        raise
    return follow(stream, result)


def _async_object_call(function: Function, prepare: Prepare) -> Call:
    async def answer_or_drive_stream(decision: Decision | None, runs: Function, opening: Opening) -> Any:
        body = _drive(runs, *opening)
        if decision is None:
            return await body
        if not _is_of_stream(decision):
            return await answer_or_drive(decision, opening[0], body)
        try:
            replayed = await _answer_in_turn(decision, opening[0])
        except BaseException:
            body.close()
            raise
        if replayed is None:
            return await body
        body.close()
        return ServedAsyncIterator(replayed)

    def call(args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Any:
        opening, runs = prepare(args, kwargs, options)
        if opening is None:
            return runs(*args, **kwargs)
        coroutine: Any = answer_or_drive_stream(decide(opening[0]), runs, opening)
        coroutine.__qualname__ = qualname_of(function)
        return coroutine

    return call


async def _drive(function: Function, activity: Activity, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    stream = Streaming(activity)
    await stream.begin_async()
    try:
        result = await function(*args, **kwargs)
    except BaseException as error:
        stream.fail_to_open(error)
        raise
    return follow(stream, result)


def _is_of_stream(decision: Decision) -> bool:
    return isinstance(decision, Served | Raise | Hang) and decision.record.stream is not None
