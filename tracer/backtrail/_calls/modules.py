"""Where a class or function comes from, by the name that others import it by.

    user's classes → **module_name** → type tags, error types, entry points

A program started as a script calls its own module `__main__`. Recorded so, its classes would not be those of
the same file imported, and no other process could replay its runs.
"""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


def module_name(thing: type | Callable[..., Any]) -> str:
    module = thing.__module__
    return _main_module() if module == "__main__" else module


def name_of(function: Callable[..., Any]) -> str:
    """Its name; that of its class for an object that can be called."""
    return str(getattr(function, "__name__", type(function).__name__))


def qualname_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


@cache
def _main_module() -> str:
    main = sys.modules["__main__"]
    if main.__spec__ is not None:
        return main.__spec__.name
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "__main__"
