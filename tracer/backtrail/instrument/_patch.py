"""One method of a library, replaced by ours while it is wanted.

instrument, uninstrument → **Patch** → a class of the library
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Method = Callable[..., Any]


class Patch:
    """`around(original)` makes the method that stands in for the original."""

    def __init__(self, owner: type, name: str, around: Callable[[Method], Method]) -> None:
        self._owner = owner
        self._name = name
        self._around = around
        self._inherited = False
        self._ours: Method | None = None
        self._is_on = False

    def apply(self) -> None:
        self._is_on = True
        if self._is_in_place():
            return
        original = getattr(self._owner, self._name)
        recorded = self._around(original)
        self._inherited = self._name not in vars(self._owner)

        @functools.wraps(original)
        def ours(*args: Any, **kwargs: Any) -> Any:
            records = self._is_on and self._ours is ours
            return (recorded if records else original)(*args, **kwargs)

        self._ours = ours
        self._original = original
        setattr(self._owner, self._name, ours)

    def _is_in_place(self) -> bool:
        """As the method, or below what somebody wrapped around it; who unwraps theirs may take ours away with it."""
        method = getattr(self._owner, self._name)
        while method is not None and method is not self._ours:
            method = getattr(method, "__wrapped__", None)
        return method is not None

    def remove(self) -> None:
        """Put the original back; where somebody wrapped ours since, ours stays below and does nothing."""
        self._is_on = False
        if self._ours is None or vars(self._owner).get(self._name) is not self._ours:
            return
        if self._inherited:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, self._original)
        self._ours = None
