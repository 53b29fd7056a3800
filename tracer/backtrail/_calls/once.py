"""What is worked out at its first reading and kept: the parts of a function's signature.

`functools.cached_property` does the same, but up to Python 3.11 under a lock: a process that is forked while another
thread holds it waits for ever. Here two threads may work the same thing out; one of the results stays.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class once(Generic[T]):
    """A property without arguments that costs something only once."""

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self._name = work_out.__name__

    def __get__(self, instance: Any, owner: type) -> T:
        value = self._work_out(instance)
        instance.__dict__[self._name] = value
        return value
