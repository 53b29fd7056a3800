"""How many spans of which run could not be delivered: counted where they are dropped, until the server knows.

queue, answers of the server, spool → **Losses** → the run's end, process records
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags

from backtrail import semconv

from .parcel import Parcel, spans_of

PROCESS_KIND = "process"
_RUNS_KEPT = 10_000
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


@dataclass(slots=True)
class Loss:
    """Of one trace. `near` and `start_time` are those of one of its spans, should the run itself be unknown here."""

    near: SpanContext
    start_time: int
    count: int = 0
    told: int = 0


class Losses:
    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._of: dict[int, Loss] = {}
        self.total = 0

    def of(self, trace_id: int) -> int:
        loss = self._of.get(trace_id)
        return loss.count if loss is not None else 0

    def add_span(self, span: ReadableSpan) -> None:
        if span.context is not None:
            is_record = (span.attributes or {}).get(semconv.KIND) == PROCESS_KIND
            self._add(span.parent or span.context, span.start_time or 0, is_record=is_record)

    def add_parcel(self, parcel: Parcel) -> None:
        """All spans of a request that was refused, or that had to be given up."""
        for each in parcel.spans:
            self.add_span(each)
        try:
            for span in spans_of(parcel.body):
                near = SpanContext(
                    int.from_bytes(span.trace_id),
                    int.from_bytes(span.parent_span_id or span.span_id),
                    is_remote=False,
                    trace_flags=_SAMPLED,
                )
                is_record = any(
                    one.key == semconv.KIND and one.value.string_value == PROCESS_KIND for one in span.attributes
                )
                self._add(near, span.start_time_unix_nano, is_record=is_record)
        except DecodeError:
            self.total += parcel.span_count

    def add_rejected(self, parcel: Parcel, count: int) -> None:
        """Some spans of a request that was taken. Which ones is not said: of several runs, nobody knows whose."""
        self.total += count
        spans = list(spans_of(parcel.body))
        if len({span.trace_id for span in spans}) == 1:
            near = SpanContext(int.from_bytes(spans[0].trace_id), int.from_bytes(spans[0].span_id), is_remote=False)
            with self._lock:
                self._loss(near, spans[0].start_time_unix_nano).count += count

    def untold(self) -> list[tuple[Loss, int]]:
        """What the server has not been told of, with how many there are by now."""
        with self._lock:
            return [(loss, loss.count) for loss in self._of.values() if loss.count > loss.told]

    def _add(self, near: SpanContext, start_time: int, *, is_record: bool) -> None:
        with self._lock:
            if is_record:
                # What it told of has to be told again; by itself it is no loss.
                if (loss := self._of.get(near.trace_id)) is not None:
                    loss.told = 0
                return
            self.total += 1
            self._loss(near, start_time).count += 1

    def _loss(self, near: SpanContext, start_time: int) -> Loss:
        if (loss := self._of.get(near.trace_id)) is None:
            if len(self._of) >= _RUNS_KEPT:
                del self._of[next(iter(self._of))]
            loss = self._of[near.trace_id] = Loss(near, start_time)
        return loss
