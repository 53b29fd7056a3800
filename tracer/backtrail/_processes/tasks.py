"""Where tasks, threads and branches are made: there the scopes of their steps are named.

    create_task, gather, to_thread → **frame** → scope → step keys

A program makes its tasks in the same order in every run; when they start, the scheduler decides. So
a task factory, installed on a loop while a run is active on it, gives each new task its frame.
"""

from __future__ import annotations

import contextvars
import functools
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from backtrail import _late
from backtrail._boundary import never_raise
from backtrail._runs.scope import Position, current_position

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task

T = TypeVar("T")

_framing = never_raise("naming a task or thread")
_tasks: WeakSet[Task[Any]] = WeakSet()
_factories: WeakKeyDictionary[AbstractEventLoop, _LoopFactory] = WeakKeyDictionary()

Loops: TypeAlias = "dict[AbstractEventLoop, _LoopFactory]"


class _LoopFactory:
    """Our factory on one loop, the one it stands before, and how many runs need it."""

    def __init__(self, loop: AbstractEventLoop, runs: int = 0) -> None:
        self.runs = runs
        self.previous: Any = loop.get_task_factory()
        loop.set_task_factory(self)

    def __call__(self, loop: AbstractEventLoop, coroutine: Any, **arguments: Any) -> Any:
        position = current_position.get()
        if position is None:
            return self._make(loop, coroutine, arguments)
        with _framing:
            context: contextvars.Context | None = arguments.get("context")
            if context is None:
                arguments["context"] = context = contextvars.copy_context()
            # In a context the program made for the task, our position may be another or none: then that is meant.
            if context.get(current_position) is position:
                name = getattr(coroutine, "__qualname__", type(coroutine).__qualname__)
                context.run(current_position.set, within(position, "task", name))
        task = self._make(loop, coroutine, arguments)
        with _framing:
            _tasks.add(task)
        return task

    def _make(self, loop: AbstractEventLoop, coroutine: Any, arguments: dict[str, Any]) -> Any:
        if self.previous is not None:
            return self.previous(loop, coroutine, **arguments)
        return _late.asyncio.Task(coroutine, loop=loop, **arguments)


def within(position: Position, kind: str, name: str, *, is_weak: bool = False) -> Position:
    with position.runtime.lock:
        scope = position.scope.child(kind, name, is_weak=is_weak)
    if position.runtime.replay is not None:
        position.runtime.replay.opened(scope.text)
    return position._replace(scope=scope)


def join_loop(joined: Loops) -> None:
    """Have tasks framed on the running loop, if there is one; `joined` are the loops of one run."""
    loop = _running_loop()
    if loop is None or joined.get(loop) is loop.get_task_factory() is not None:
        return
    factory = _factories.get(loop) or _LoopFactory(loop)
    if loop.get_task_factory() is not factory:
        # Whoever set another one over ours keeps it, below the new one; the runs on the loop count with that.
        factory = _LoopFactory(loop, factory.runs)
    _factories[loop] = factory
    if loop not in joined:
        factory.runs += 1
    joined[loop] = factory


def begin_in_task() -> None:
    """A run begins in this task: its scope is the run's own."""
    if _running_loop() is not None and (task := _late.asyncio.current_task()) is not None:
        _tasks.add(task)


def framed(position: Position) -> Position:
    """Where a call made now stands. A task made while our factory was not in charge gets its frame only here."""
    loop = _late.asyncio._get_running_loop() if "asyncio" in sys.modules else None  # _running_loop(), for each step
    runtime = position.runtime
    if loop is None or (runtime.loops.get(loop, loop) is loop.get_task_factory() and not runtime.has_strays):
        return position
    return _framed_late(position, loop)


def _framed_late(position: Position, loop: AbstractEventLoop) -> Position:
    """Which of several such tasks makes its first call first is up to the scheduler, so their scopes are weak."""
    task = _late.asyncio.current_task()
    if task is None:
        return position
    if not position.runtime.has_strays:
        # On a loop that began inside the run, this may be all there is so far.
        if _late.asyncio.all_tasks(loop) == {task}:
            _tasks.add(task)
        else:
            position.runtime.has_strays = True
    join_loop(position.runtime.loops)
    if task in _tasks:
        return position
    _tasks.add(task)
    name = getattr(task.get_coro(), "__qualname__", "task")
    position = within(position, "task", name, is_weak=True)
    current_position.set(position)
    return position


def leave_loops(joined: Loops) -> None:
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
        self._inner = position
        with _framing:
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
    context = contextvars.copy_context()
    with _framing:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        context.run(current_position.set, within(position, "thread", name))
    return functools.partial(context.run, functools.partial(function, *args, **kwargs))


def run_in_thread(position: Position, function: Callable[..., T], *args: Any, **kwargs: Any) -> Awaitable[T]:
    try:
        loop = _late.asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError("run_in_thread is to be awaited; without an event loop, use submit(executor, …)") from None
    return loop.run_in_executor(None, _carried(position, function, args, kwargs))


def submit(position: Position, executor: Executor, function: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
    if _is_of_processes(executor):
        return executor.submit(function, *args, **kwargs)
    return executor.submit(_carried(position, function, args, kwargs))


def _is_of_processes(executor: Executor) -> bool:
    """Such an executor takes the run along by itself; whoever has one has imported its module."""
    processes = sys.modules.get("concurrent.futures.process")
    return processes is not None and isinstance(executor, processes.ProcessPoolExecutor)


def _running_loop() -> AbstractEventLoop | None:
    """None in a program that has not even imported asyncio, which then stays so."""
    return _late.asyncio._get_running_loop() if "asyncio" in sys.modules else None
