"""The one place where an error of ours stops: a tracing bug is logged, the user's agent goes on.

    user's call → decorator → **never_raise** → bookkeeping

It wraps our bookkeeping, never the user's block. `configure(strict=True)` opens it, so that tests
of a program can see what recording would have swallowed.
"""

import logging
import time
from types import TracebackType

logger = logging.getLogger("backtrail")

_SECONDS_BETWEEN_LINES = 10.0
_last_line: dict[str, float] = {}


def complain(about: str, message: str, *arguments: object, error: BaseException | None = None) -> None:
    """Log an error, at most once in ten seconds for each thing it is about."""
    now = time.monotonic()
    if now - _last_line.get(about, -_SECONDS_BETWEEN_LINES) >= _SECONDS_BETWEEN_LINES:
        _last_line[about] = now
        logger.error(message, *arguments, exc_info=error)


class never_raise:
    """Complain of what goes wrong in the block, and go on. What it `lets` through is meant for the user."""

    __slots__ = ("doing", "lets")

    is_strict = False

    def __init__(self, doing: str, *, lets: tuple[type[Exception], ...] = ()) -> None:
        self.doing = doing
        self.lets = lets

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if kind is None:
            return False
        if not issubclass(kind, Exception) or never_raise.is_strict or issubclass(kind, self.lets):
            return False
        message = "%s failed; the recording is incomplete, your program is not affected"
        complain(self.doing, message, self.doing, error=error)
        return True
