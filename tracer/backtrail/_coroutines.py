"""Which functions are to be awaited, and how a plain `def` says that of what it returns.

    user's function → **is it one?** → wrap → **mark** → frameworks

A wrapper of ours is a plain `def`, because a call is named and numbered at the moment it is made.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

from . import _late


def mark_coroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have frameworks see the plain `def` for what it returns."""
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(function)
    function._is_coroutine = _late.asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    return function


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
