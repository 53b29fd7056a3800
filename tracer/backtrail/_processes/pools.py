"""Thread pools, process pools and processes: what is handed to one inside a run stays part of the run.

    executor.submit, pool.map, process.start → **here** → Carried or Sent → the thread or process

The workers themselves belong to no run: a pool lives longer than the run that happened to start it. And a
`threading.Thread` is left alone, because nobody knows how long it lives; `ctx.carried(function)` is for those.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from backtrail._boundary import never_raise
from backtrail._delivery.lifetime import end_with_multiprocessing
from backtrail._runs.scope import Position, current_position

from .carried import Carried, carry_call, name_of
from .patches import Method, patch
from .sent import Sender
from .tasks import within

_carrying = never_raise("carrying a run into a pool")

_SPAWNED = ("spawn", "forkserver")
_THEIR_OWN = ("multiprocessing", "concurrent")


def patch_pools() -> None:
    end_with_multiprocessing()
    patch(ThreadPoolExecutor, "submit", _submit_to_thread)
    patch(BaseProcess, "start", _start)
    # Not every platform has what these need.
    with never_raise("preparing process pools"):
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing.pool import Pool

        patch(ProcessPoolExecutor, "submit", _submit_to_process)
        patch(Pool, "apply_async", _apply)
        for name in ("map", "map_async", "imap", "imap_unordered"):
            patch(Pool, name, _map_with(_call))
        for name in ("starmap", "starmap_async"):
            patch(Pool, name, _map_with(_call_star))


# --- concurrent.futures -------------------------------------------------------------------------------------


def _submit_to_thread(original: Method) -> Method:
    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        position = current_position.get()
        if position is not None:
            with _carrying:
                fn, args = carry_call(position, fn, args)
        return original(self, fn, *args, **kwargs)

    return submit


def _submit_to_process(original: Method) -> Method:
    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        position = current_position.get()
        if position is not None:
            with _carrying:
                fn = Sender(position).send(fn)
        return original(self, fn, *args, **kwargs)

    return submit


# --- multiprocessing.Pool, and its ThreadPool ---------------------------------------------------------------


def _apply(original: Method) -> Method:
    def apply_async(self: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        position = current_position.get()
        if position is not None:
            with _carrying:
                func = _carrier(self, position)(func)
        return original(self, func, *args, **kwargs)

    return apply_async


def _map_with(call: Callable[..., Any]) -> Callable[[Method], Method]:
    def around(original: Method) -> Method:
        def map_items(self: Any, func: Callable[..., Any], iterable: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
            position = current_position.get()
            if position is not None:
                with _carrying:
                    func, iterable = call, _each(_carrier(self, position), func, iterable)
            return original(self, func, iterable, *args, **kwargs)

        return map_items

    return around


def _carrier(pool: Any, position: Position) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    from multiprocessing.pool import ThreadPool

    if isinstance(pool, ThreadPool):
        context = otel_context.get_current()
        return lambda function: Carried(position, function, context)
    # A pool left as a block is terminated: its workers have no time to deliver anything afterwards.
    return Sender(position, is_last=True).send


def _each(
    carry: Callable[[Callable[..., Any]], Callable[..., Any]], function: Callable[..., Any], items: Iterable[Any]
) -> Iterator[tuple[Callable[..., Any], Any]]:
    """Each item with a function of its own: equal items are told apart by their order."""
    for item in items:
        one = function
        with _carrying:
            one = carry(function)
        yield one, item


def _call(pair: tuple[Callable[..., Any], Any]) -> Any:
    return pair[0](pair[1])


def _call_star(function: Callable[..., Any], arguments: Iterable[Any]) -> Any:
    return function(*arguments)


# --- multiprocessing.Process --------------------------------------------------------------------------------


def _start(original: Method) -> Method:
    def start(self: BaseProcess) -> None:
        position = current_position.get()
        if position is None:
            original(self)
        elif _is_worker(self):
            _start_outside(original, self)
        elif not _is_spawned(self):
            _start_forked(original, self, position)
        else:
            _start_spawned(original, self, position)

    return start


def _start_spawned(original: Method, process: BaseProcess, position: Position) -> None:
    before = vars(process).get("run")
    with _carrying:
        process.run = Sender(position).send(process.run)  # type: ignore[method-assign]
    try:
        original(process)
    finally:
        vars(process).pop("run", None)
        if before is not None:
            process.run = before  # type: ignore[method-assign]


def _is_worker(process: BaseProcess) -> bool:
    target = getattr(process, "_target", None)
    return str(getattr(target, "__module__", "")).partition(".")[0] in _THEIR_OWN


def _is_spawned(process: BaseProcess) -> bool:
    method = getattr(process, "_start_method", None) or multiprocessing.get_start_method()
    return method in _SPAWNED


def _start_forked(original: Method, process: BaseProcess, position: Position) -> None:
    """It has the run in its memory; but it counts its steps by itself, so their scope must be its own."""
    inner = position
    with _carrying:
        inner = within(position, "process", name_of(getattr(process, "_target", None) or type(process)))
    opened = current_position.set(inner)
    try:
        original(process)
    finally:
        current_position.reset(opened)


def _start_outside(original: Method, process: BaseProcess) -> None:
    opened, token = current_position.set(None), otel_context.attach(Context())
    try:
        original(process)
    finally:
        otel_context.detach(token)
        current_position.reset(opened)
