"""How a process comes and goes: what a forked child has to make anew, what is owed before the end.

    Processor, Recorder, RunRuntime → **in_forked_child, at_exit** → the interpreter, multiprocessing

A child of `multiprocessing` ends without `atexit`, and forgets on its way in what was registered in its
parent; so it is told again.
"""

import atexit
import functools
import os
import weakref
from collections.abc import Callable

_owed: dict[Callable[[], None], None] = {}


def in_forked_child(renew: Callable[[], None]) -> None:
    """Call this in every child made by `os.fork`, for ever: for modules, not for objects that go."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


def at_exit(do: Callable[[], None]) -> None:
    """Call this once, when the process ends by itself."""
    _owed[do] = None


def not_at_exit(do: Callable[[], None]) -> None:
    _owed.pop(do, None)


def _end() -> None:
    while _owed:
        _owed.popitem()[0]()


@functools.cache
def end_with_multiprocessing() -> None:
    """From the first run on: before it nothing is owed, and multiprocessing need not be imported."""
    from multiprocessing import util

    def register(end: Callable[[], None]) -> None:
        util.Finalize(None, end, exitpriority=0)

    register(_end)
    util.register_after_fork(_end, register)


# What closes things by `weakref.finalize`, as our connections are, has to do so after us: the last registered is first.
weakref.finalize(_end, lambda: None)
atexit.register(_end)
