"""Calls that another thread makes: what was current where they were handed over is current there.

    submit, to_thread, ctx.carried → **Carried** → a pool's thread → the user's function

Only our position and OpenTelemetry's context go along. Other context variables stay what they are in the pool's own
threads: a program may rely on that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import Context as Variables
from typing import Any, Generic, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from backtrail._runs.scope import Position, current_position

from .tasks import within

R_co = TypeVar("R_co", covariant=True)


class Carried(Generic[R_co]):
    """A function with the place in the run where it was handed over. The scope of its steps is named here."""

    __slots__ = ("__wrapped__", "_context", "_position")

    def __init__(self, position: Position, function: Callable[..., R_co], context: Context | None = None) -> None:
        self.__wrapped__ = function
        self._position = within(position, "thread", name_of(function))
        self._context = context

    def __call__(self, *args: Any, **kwargs: Any) -> R_co:
        opened = current_position.set(self._position)
        token = otel_context.attach(self._context) if self._context is not None else None
        try:
            return self.__wrapped__(*args, **kwargs)
        finally:
            if token is not None:
                otel_context.detach(token)
            current_position.reset(opened)


def carried(position: Position, function: Callable[..., R_co]) -> Carried[R_co]:
    return Carried(position, function, otel_context.get_current())


def carry_call(
    position: Position, function: Callable[..., Any], args: tuple[Any, ...]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The call as a pool's thread should make it."""
    if (variables := _variables_of(function)) is not None and args:
        # `executor.submit(copy_context().run, function, …)`
        return (
            (function, (Carried(position, args[0]), *args[1:])) if _is_copy(variables, position) else (function, args)
        )
    if isinstance(function, functools.partial) and (variables := _variables_of(function.func)) is not None:
        # What `asyncio.to_thread` hands over. Where we framed the copy ourselves, its position is another one.
        if not function.args or not _is_copy(variables, position):
            return function, args
        inner = Carried(position, function.args[0])
        return functools.partial(function.func, inner, *function.args[1:], **function.keywords), args
    return carried(position, function), args


def _variables_of(function: Callable[..., Any]) -> Variables | None:
    owner = getattr(function, "__self__", None)
    return owner if isinstance(owner, Variables) else None


def _is_copy(variables: Variables, position: Position) -> bool:
    return variables.get(current_position) is position


def name_of(function: Callable[..., Any]) -> str:
    """The name of the user's function, through what was put around it."""
    while isinstance(function, functools.partial | Carried):
        function = function.func if isinstance(function, functools.partial) else function.__wrapped__
    return str(getattr(function, "__qualname__", type(function).__qualname__))
