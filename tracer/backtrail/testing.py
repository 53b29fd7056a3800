"""For tests of programs that use Backtrail: spans in a list, with the same ids and times in every run.

with capture_spans() as spans:
    handle("hello")
assert spans.named("look_up").result == {"status": "shipped"}
assert "tool look_up" in spans.tree()
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.id_generator import IdGenerator

from . import semconv
from ._boundary import never_raise
from ._captured import CapturedSpan, CapturedSpans
from ._payloads.capture import Capture, capture_of
from ._payloads.content import DEFAULT_MAX_PAYLOAD_BYTES
from ._payloads.hashing import hashing_of
from ._payloads.redaction import Redact, redaction_of
from ._spans.recorder import Recorder, current_recorder, set_current_recorder

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


@contextmanager
def capture_spans(
    *,
    strict: bool = True,
    max_payload_bytes: int = DEFAULT_MAX_PAYLOAD_BYTES,
    redact: Redact = None,
    hash_key: bytes | None = None,
    capture: Capture = "all",
    track_mutations: bool = False,
) -> Iterator[CapturedSpans]:
    """Record into a list instead of sending. Ids count from 1; each look at the clock is one second later.

    What `configure()` said of interceptors holds here too: they are the program's behaviour.
    """
    previous, was_strict = current_recorder(), never_raise.is_strict
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
        track_mutations=track_mutations,
        interceptors=previous.interceptors,
    )
    set_current_recorder(recorder)
    never_raise.is_strict = strict
    try:
        yield spans
    finally:
        set_current_recorder(previous)
        never_raise.is_strict = was_strict


__all__ = ["FIRST_NANOSECOND", "CapturedSpan", "CapturedSpans", "CountedIds", "capture_spans"]
