"""What a process says of itself in a run: that it is alive, and how many of the run's spans it lost.

    active runs, Losses → **Heartbeat** → a span of kind `process`, one for each run and process

Sent again it takes the place of the one before: the same span, with a later end. So the server hears of a run in
which nothing happens for an hour, and of a process that was killed it hears no more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from hashlib import sha256

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags

from backtrail import semconv
from backtrail._runs.run import RunRuntime, active_runs, runtimes
from backtrail._spans.recorder import Recorder, SpanSink, current_recorder, innermost
from backtrail._spans.span import SCOPE

from .losses import PROCESS_KIND, Losses

HEARTBEAT_SECONDS = 30.0

_LOOKS = 6  # in the time of a heartbeat: so late the first one may be
_RUNS_KEPT = 10_000
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class Heartbeat:
    """Of one processor. Everything here happens on the exporting thread, but for the last telling."""

    def __init__(self, sink: SpanSink, losses: Losses, seconds: float) -> None:
        self._sink = sink
        self._losses = losses
        self._seconds = seconds
        self._secret = os.urandom(16)
        self._look_at = 0.0
        self._last: dict[int, float] = {}
        self._start_times: dict[int, int] = {}

    def seconds_to_wait(self) -> float | None:
        """Until the open runs have to be looked at; None if there are none."""
        return max(self._look_at - time.monotonic(), 0.0) if active_runs else None

    def beat(self) -> None:
        """Let every run hear of us that has been open for so long, or for so long since it last did."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + self._seconds / _LOOKS
        runs = {run.trace_id: run for run in runtimes() if self._is_ours(run)}
        self._last = {trace_id: self._last.get(trace_id, now) for trace_id in runs}
        for trace_id, run in runs.items():
            if now - self._last[trace_id] >= self._seconds * (1 - 1 / _LOOKS):
                self._last[trace_id] = now
                sink = run.recorder.sink
                if sink is not None:
                    sink.on_end(self._record(run.recorder, run.span.context, run.span.start_time))

    def tell(self, put: Callable[[ReadableSpan], bool]) -> None:
        """Say of which runs spans were lost, where that has not been said."""
        for loss, count in self._losses.untold():
            run = active_runs.get(loss.near.trace_id)
            if run is not None:
                record = self._record(run.recorder, run.span.context, run.span.start_time)
            else:
                record = self._record(current_recorder(), loss.near, loss.start_time)
            if put(record):
                loss.told = count

    def _is_ours(self, run: RunRuntime) -> bool:
        # The server knows nothing yet of a run that may still be dropped.
        is_sent = run.recorder.is_sent(run.trace_id)
        return run.status == "open" and is_sent and innermost(run.recorder.sink) is self._sink

    def _record(self, recorder: Recorder, near: SpanContext, start_time: int) -> ReadableSpan:
        # What makes a row's place has to be the same each time, also where parts of a run come and go in one process.
        if len(self._start_times) >= _RUNS_KEPT:
            del self._start_times[next(iter(self._start_times))]
        start_time = self._start_times.setdefault(near.trace_id, start_time)
        span_id = int.from_bytes(sha256(self._secret + near.trace_id.to_bytes(16)).digest()[:8])
        attributes: dict[str, str | int] = {semconv.KIND: PROCESS_KIND, semconv.PROCESS: recorder.process}
        if lost := self._losses.of(near.trace_id):
            attributes[semconv.RUN_LOST] = lost
        return ReadableSpan(
            name=PROCESS_KIND,
            context=SpanContext(near.trace_id, span_id, False, _SAMPLED),
            parent=near,
            resource=recorder.resource,
            attributes=attributes,
            start_time=start_time,
            end_time=max(recorder.clock(), start_time),
            instrumentation_scope=SCOPE,
        )
