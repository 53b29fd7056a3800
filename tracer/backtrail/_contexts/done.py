"""What a method returns that is finished when it returns, and may be awaited all the same.

`await step.complete(result)` and `step.complete(result)` then mean one thing, in code with and
without an event loop.
"""

from collections.abc import Generator
from typing import Any


class Done:
    """Awaiting it gives None at once."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        return None
        yield


DONE = Done()
