"""When a failed step is tried again, and after how long: the user's wishes, checked at the decoration.

    @step(retries=…, retry_on=…, backoff=…) → **Retries** → attempts

What is no failure of the step is not tried again: a cancellation, the end of the program, a stop by an interceptor,
a replay that was refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backtrail.errors import InterceptedError, RecordedError, ReplayError

LONGEST_BACKOFF = 30.0

RetryOn = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]
Backoff = float | Callable[[int], float]

_MOST_DOUBLINGS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Retries:
    """How often, on which errors and after how many seconds one step is tried again."""

    most: int
    retry_on: RetryOn
    backoff: Backoff

    def wants(self, error: BaseException) -> bool:
        """Whether this failure is one to try again after. The user's predicate may raise."""
        if not isinstance(error, Exception) or _is_final(error):
            return False
        if isinstance(self.retry_on, tuple | type):
            return isinstance(error, self.retry_on)
        return bool(self.retry_on(error))

    def pause_before(self, retry: int) -> float:
        """Seconds before the n-th retry, from 1. The user's function may raise."""
        if callable(self.backoff):
            return max(0.0, float(self.backoff(retry)))
        doubled: float = self.backoff * 2.0 ** min(retry - 1, _MOST_DOUBLINGS)
        return min(doubled, max(self.backoff, LONGEST_BACKOFF))


def retries_of(most: int, retry_on: RetryOn, backoff: Backoff) -> Retries | None:
    """None where a step is tried once. What makes no sense is a TypeError or ValueError at the decoration."""
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise ValueError(f"retries is how often a step is tried again, 0 or more, not {most!r}")
    if not callable(backoff) and not (_is_number(backoff) and 0 <= backoff < math.inf):
        raise ValueError(f"backoff is seconds, or a function from the number of a retry to seconds, not {backoff!r}")
    if not _is_condition(retry_on):
        raise TypeError(
            f"retry_on is an exception class, a tuple of them, or a function of the error, not {retry_on!r}"
        )
    return Retries(most, retry_on, backoff) if most else None


def _is_condition(retry_on: Any) -> bool:
    if isinstance(retry_on, tuple):
        return all(map(_is_error_class, retry_on))
    return _is_error_class(retry_on) if isinstance(retry_on, type) else callable(retry_on)


def _is_final(error: Exception) -> bool:
    # An error of the record stands for the one that was raised then, and is tried again as that was.
    return isinstance(error, InterceptedError | ReplayError) and not isinstance(error, RecordedError)


def _is_error_class(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseException)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
