"""The few methods of the standard library that are ours while there are runs, and how they become its own again.

    the first run → **install_patches** → pools → … → shutdown() → **remove_patches**

A patch calls the method it replaces, and outside a run does nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from backtrail._boundary import never_raise

Method = Callable[..., Any]

_applied: list[tuple[type, str, Method, Method]] = []
_is_installed = False


def install_patches() -> None:
    """Once, when the first run starts."""
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    with never_raise("preparing thread and process pools"):
        from .pools import patch_pools

        patch_pools()


def patch(owner: type, name: str, around: Callable[[Method], Method]) -> None:
    """Replace a method by what `around` makes of it, with its name and signature."""
    original = getattr(owner, name)
    if any(_is_or_wraps(original, ours) for _, _, _, ours in _applied):
        return
    ours = functools.wraps(original)(around(original))
    setattr(owner, name, ours)
    _applied.append((owner, name, original, ours))


def remove_patches() -> None:
    """Give back what is still ours; what somebody has wrapped since stays inside, idle."""
    global _is_installed
    kept = []
    for owner, name, original, ours in _applied:
        if getattr(owner, name) is ours:
            setattr(owner, name, original)
        else:
            kept.append((owner, name, original, ours))
    _applied[:] = kept
    _is_installed = False


def _is_or_wraps(method: Any, ours: Method) -> bool:
    while method is not None:
        if method is ours:
            return True
        method = getattr(method, "__wrapped__", None)
    return False
