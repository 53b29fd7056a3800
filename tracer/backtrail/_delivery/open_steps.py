"""Steps that are open: those that are so for long get a pending row, most never need one.

    StepContext.start → **OpenSteps** → a pending row after a second

A span is held here for that second at most, whether or not anybody ever ends it.
"""

import time

from backtrail._spans.span import RecordedSpan

_OPEN_NANOSECONDS = 1_000_000_000


class OpenSteps:
    """`is_watched` is False where nothing would be sent before the run's end anyway."""

    def __init__(self, *, is_watched: bool) -> None:
        self._is_watched = is_watched
        self._open: dict[int, RecordedSpan] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def opened(self, span: RecordedSpan) -> bool:
        if self._is_watched:
            self._open[span.context.span_id] = span
        return self._is_watched

    def closed(self, span: RecordedSpan) -> None:
        self._open.pop(span.context.span_id, None)

    def pend_slow_ones(self) -> None:
        started_before = time.time_ns() - _OPEN_NANOSECONDS
        for span_id, span in list(self._open.items()):
            if span.start_time > started_before:
                break
            if self._open.pop(span_id, None) is not None:
                span.recorder.pending(span)

    def close(self) -> None:
        """Nothing will be sent any more, and so nothing is to be kept."""
        self._is_watched = False
        self._open.clear()
