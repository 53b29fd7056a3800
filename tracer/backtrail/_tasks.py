"""Where tasks, threads and branches are made: there the scopes of their steps are named.

    create_task, gather, to_thread → **frame** → scope → step keys

A program makes its tasks in the same order in every run; when they start, the scheduler decides. So
a task factory, installed on a loop while a run is active on it, gives each new task its frame.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ._scope import Position, current_position

T = TypeVar("T")


class _LoopFactory:
    """Our factory on one loop, the one it stands before, and how many runs need it."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.runs = 0
        self.previous: Any = loop.get_task_factory()
        loop.set_task_factory(self)

    def __call__(self, loop: AbstractEventLoop, coroutine: Any, **arguments: Any) -> Any:
        position = current_position.get()
        if position is not None and arguments.get("context") is None:
            arguments["context"] = _framed_context(position, coroutine)
        if self.previous is not None:
            return self.previous(loop, coroutine, **arguments)
        return asyncio.Task(coroutine, loop=loop, **arguments)


def _framed_context(position: Position, coroutine: Any) -> contextvars.Context:
    name = getattr(coroutine, "__qualname__", type(coroutine).__qualname__)
    context = contextvars.copy_context()
    context.run(current_position.set, within(position, "task", name))
    return context


def within(position: Position, kind: str, name: str) -> Position:
    with position.runtime.lock:
        scope = position.scope.child(kind, name)
    if position.runtime.replay is not None:
        position.runtime.replay.opened(scope.text)
    return position._replace(scope=scope)


_factories: WeakKeyDictionary[AbstractEventLoop, _LoopFactory] = WeakKeyDictionary()


def join_loop(joined: set[AbstractEventLoop]) -> None:
    """Have tasks framed on the running loop, if there is one; `joined` are the loops of one run."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    if loop in joined:
        return
    factory = _factories.get(loop)
    is_installed = factory is not None and loop.get_task_factory() is factory
    if factory is None or not is_installed:
        factory = _LoopFactory(loop)
        _factories[loop] = factory
    factory.runs += 1
    joined.add(loop)


def leave_loops(joined: set[AbstractEventLoop]) -> None:
    """The run is over: the last one on a loop gives it its own factory back."""
    for loop in joined:
        factory = _factories.get(loop)
        if factory is None:
            continue
        factory.runs -= 1
        if factory.runs <= 0:
            del _factories[loop]
            is_installed = loop.get_task_factory() is factory
            if is_installed:
                loop.set_task_factory(factory.previous)
    joined.clear()


class Branch:
    """`with ctx.branch("eu"):` names the scope of the steps in the block."""

    def __init__(self, position: Position, key: str) -> None:
        self._inner = within(position, "branch", position.runtime.recorder.redaction.name(key))
        self._opened: contextvars.Token[Position | None] | None = None

    def __enter__(self) -> None:
        self._opened = current_position.set(self._inner)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._opened is not None:
            current_position.reset(self._opened)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def _carried(
    position: Position, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[], T]:
    name = getattr(function, "__qualname__", type(function).__qualname__)
    context = contextvars.copy_context()
    context.run(current_position.set, within(position, "thread", name))
    return functools.partial(context.run, functools.partial(function, *args, **kwargs))


def run_in_thread(position: Position, function: Callable[..., T], *args: Any, **kwargs: Any) -> Awaitable[T]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError("run_in_thread is to be awaited; without an event loop, use submit(executor, …)") from None
    return loop.run_in_executor(None, _carried(position, function, args, kwargs))


def submit(position: Position, executor: Executor, function: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
    if isinstance(executor, ProcessPoolExecutor):
        return executor.submit(function, *args, **kwargs)
    return executor.submit(_carried(position, function, args, kwargs))
