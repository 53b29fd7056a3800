"""Which functions are to be awaited, and how a plain `def` says that of what it returns.

    user's function → **is it one?** → wrap → **mark** → frameworks

A wrapper of ours is a plain `def`, because a call is named and numbered at the moment it is made.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

from backtrail import _late


def mark_coroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have frameworks see the plain `def` for what it returns."""
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(function)
    marked = with_flag(function, inspect.CO_COROUTINE) if HEEDS_OPCODES else function
    marked._is_coroutine = _late.asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    return marked


def with_flag(function: Callable[..., Any], flag: int) -> Callable[..., Any]:
    """The function again, with one of the flags by which `inspect` tells what a function gives."""
    plain = cast("FunctionType", function)
    code = plain.__code__.replace(co_flags=plain.__code__.co_flags | flag)
    flagged = FunctionType(code, plain.__globals__, plain.__name__, plain.__defaults__, plain.__closure__)
    functools.update_wrapper(flagged, plain)
    flagged.__dict__ = plain.__dict__
    return flagged


# Whether a function is a generator is decided by its opcodes, and its flags only tell of it: so it is in CPython.
HEEDS_OPCODES = with_flag(lambda: 1, inspect.CO_GENERATOR)() == 1


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine: an `async def`, or something of ours around one."""
    if inspect.iscoroutinefunction(getattr(type(function), "__call__", None)):  # noqa: B004  (an object's own method)
        return True
    if sys.version_info >= (3, 12):
        return inspect.iscoroutinefunction(function)
    if inspect.iscoroutinefunction(function):
        return True
    marker = getattr(function, "_is_coroutine", None)
    return marker is not None and marker is _late.asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
