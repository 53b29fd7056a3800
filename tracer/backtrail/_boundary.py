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


class never_raise:
    """Log what goes wrong in the block, at most once in ten seconds for each deed, and go on."""

    __slots__ = ("doing",)

    is_strict = False
    _last_line: dict[str, float] = {}  # noqa: RUF012  (shared on purpose)

    def __init__(self, doing: str) -> None:
        self.doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if kind is None:
            return False
        if not issubclass(kind, Exception) or never_raise.is_strict:
            return False
        now = time.monotonic()
        if now - self._last_line.get(self.doing, -_SECONDS_BETWEEN_LINES) >= _SECONDS_BETWEEN_LINES:
            self._last_line[self.doing] = now
            message = "%s failed; the recording is incomplete, your program is not affected"
            logger.error(message, self.doing, exc_info=error)
        return True
