"""Decorators above `@contextmanager` and `@asynccontextmanager`: what is recorded is the block, not the call.

Spec.__call__ → **the generator inside is decorated, and made a context manager again** → user's `with`
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, cast

Function = Callable[..., Any]

# Every function that one of them has made has its code.
_makers: tuple[Any, ...] = (contextlib.contextmanager, contextlib.asynccontextmanager)
_MAKERS: dict[object, Function] = {make(lambda: None).__code__: make for make in _makers}


def maker_of(function: object) -> Function | None:
    """What made a context manager of a generator function; None for any other function."""
    return _MAKERS.get(getattr(function, "__code__", None))


def remade(make: Function, decorated: Any) -> Function:
    """The decorated generator function as a context manager again."""
    manager: Any = make(decorated)

    if hasattr(decorated, "with_options"):
        manager.with_options = lambda **options: remade(make, decorated.with_options(**options))
    return cast("Function", manager)
