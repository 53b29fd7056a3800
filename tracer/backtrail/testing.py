"""For tests of programs that use Backtrail: spans in a list, with the same ids and times in every run.

with capture_spans() as spans:
    handle("hello")
assert [span.name for span in spans] == […]
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import IdGenerator

from . import semconv
from ._boundary import never_raise
from ._capture import Capture, capture_of
from ._clean import clean
from ._content import DEFAULT_MAX_PAYLOAD_BYTES
from ._hashing import hashing_of
from ._recorder import Recorder, current_recorder, set_current_recorder
from ._redaction import Redact, redaction_of
from ._span import RecordedSpan

FIRST_NANOSECOND = 1_700_000_000_000_000_000
_SECOND = 1_000_000_000


class CountedIds(IdGenerator):
    """1, 2, 3 …, as logfire's tests do it."""

    def __init__(self) -> None:
        self._span_ids = itertools.count(1)
        self._trace_ids = itertools.count(1)

    def generate_span_id(self) -> int:
        return next(self._span_ids)

    def generate_trace_id(self) -> int:
        return next(self._trace_ids)

    def is_trace_id_random(self) -> bool:
        return False


class CapturedSpans(list[ReadableSpan]):
    """The finished spans, in the order they ended; pending rows are kept apart in `pending`."""

    def __init__(self) -> None:
        super().__init__()
        self.pending: list[ReadableSpan] = []

    def of_kind(self, kind: str) -> list[ReadableSpan]:
        return [span for span in self if (span.attributes or {}).get(semconv.KIND) == kind]

    def named(self, name: str) -> ReadableSpan:
        """The one span of this name."""
        found = [span for span in self if span.name == name]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} spans are named {name!r}; there are {sorted(s.name for s in self)}")
        return found[0]

    # What a recorder needs of its sink.

    def opened(self, span: RecordedSpan) -> None:
        return None

    def closed(self, span: RecordedSpan) -> None:
        return None

    def on_end(self, span: ReadableSpan) -> None:
        is_pending = (span.attributes or {}).get(semconv.KIND) == "pending"
        (self.pending if is_pending else self).append(clean(span))

    def flush(self, timeout: float) -> bool:
        return True

    def shutdown(self) -> None:
        return None

    def secure(self, timeout: float) -> bool:
        return True

    is_failing = False

    def lost_of(self, trace_id: int) -> int:
        return 0


@contextmanager
def capture_spans(
    *,
    strict: bool = True,
    max_payload_bytes: int = DEFAULT_MAX_PAYLOAD_BYTES,
    redact: Redact = None,
    hash_key: bytes | None = None,
    capture: Capture = "all",
) -> Iterator[CapturedSpans]:
    """Record into a list instead of sending. Ids count from 1; each look at the clock is one second later."""
    spans = CapturedSpans()
    seconds = itertools.count()
    recorder = Recorder(
        sink=spans,
        resource=Resource({semconv.SERVICE_NAME: "test"}),
        ids=CountedIds(),
        clock=lambda: FIRST_NANOSECOND + next(seconds) * _SECOND,
        process="00000001",
        max_payload_bytes=max_payload_bytes,
        redaction=redaction_of(redact, hash_key),
        hashing=hashing_of(hash_key),
        withholds=capture_of(capture) == "metadata",
    )
    previous, was_strict = current_recorder(), never_raise.is_strict
    set_current_recorder(recorder)
    never_raise.is_strict = strict
    try:
        yield spans
    finally:
        set_current_recorder(previous)
        never_raise.is_strict = was_strict
