"""Which runs are sent: whole runs or none, decided at their start or, by what they came to, at their end.

    RecordedSpan.end → **Sampler** (send, hold, drop) → processor

A run that is neither certain to be sent nor to be dropped is held back in memory until it ends. When too much is held,
the oldest is sent: rather too many than a gap. Whoever asks for durability (an explicit checkpoint, a step with a side
effect) has asked for the run to be sent, and a replay always is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from weakref import WeakSet

from opentelemetry.sdk.trace import ReadableSpan

from backtrail._runs.run import active_runs
from backtrail._spans.recorder import SpanSink
from backtrail._spans.span import RecordedSpan

from .lifetime import in_forked_child
from .size import size_of

MAX_HELD_BYTES = 32 << 20
_DROPPED_REMEMBERED = 10_000
_RANDOM_BITS = 56  # of a trace id that are random by W3C Trace Context, level 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Which runs are sent to the server: `configure(sampling=Sampling(rate=0.1, keep_failed=True))`.

    `rate` of them whatever they come to, chosen by their id; beside those every run that failed, took longer than
    `keep_slower_than` seconds, or used more than `keep_tokens_over` tokens or `keep_cost_over` US dollars, as far as
    the run's steps said what they used. A run that may still be dropped is held in memory until it ends, so a
    killed process takes it along; with `keep_failed=False` and no other limit nothing is held.
    """

    rate: float = 1.0
    keep_failed: bool = True
    keep_slower_than: float | None = None
    keep_tokens_over: int | None = None
    keep_cost_over: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.rate <= 1.0:
            raise ValueError(f"a sampling rate is a share from 0 to 1, not {self.rate!r}")

    @property
    def looks_back(self) -> bool:
        """Whether how a run ends can decide."""
        limits = (self.keep_slower_than, self.keep_tokens_over, self.keep_cost_over)
        return self.keep_failed or any(limit is not None for limit in limits)

    def chooses(self, trace_id: int) -> bool:
        """The same answer for one run in every process."""
        return (trace_id & ((1 << _RANDOM_BITS) - 1)) < self.rate * (1 << _RANDOM_BITS)

    def keeps(self, *, has_failed: bool, seconds: float, tokens: int, cost_usd: float) -> bool:
        """Whether what a run came to is a reason to send it."""
        return (
            (self.keep_failed and has_failed)
            or _is_over(seconds, self.keep_slower_than)
            or _is_over(tokens, self.keep_tokens_over)
            or _is_over(cost_usd, self.keep_cost_over)
        )


def _is_over(value: float, limit: float | None) -> bool:
    return limit is not None and value > limit


@dataclass(slots=True)
class _Held:
    spans: list[ReadableSpan] = field(default_factory=list)
    bytes: int = 0


_NOTHING = _Held()


class Sampler:
    """A sink before the sink: sends, holds or drops a span by its run."""

    def __init__(self, sampling: Sampling, sink: SpanSink) -> None:
        self._sampling = sampling
        self.inner = sink
        # Re-entrant: the garbage collector may end a span on a thread that is in here.
        self._lock = threading.RLock()
        self._held: OrderedDict[int, _Held] = OrderedDict()
        self._held_bytes = 0
        self._dropped: OrderedDict[int, None] = OrderedDict()
        _samplers.add(self)

    # --- What the runs say ------------------------------------------------------------------------

    def started(self, trace_id: int) -> None:
        if self._sampling.chooses(trace_id):
            return
        with self._lock:
            if self._sampling.looks_back:
                self._held[trace_id] = _Held()
            else:
                self._drop(trace_id)

    def ended(self, trace_id: int, *, has_failed: bool, seconds: float, tokens: int, cost_usd: float) -> None:
        if self._sampling.keeps(has_failed=has_failed, seconds=seconds, tokens=tokens, cost_usd=cost_usd):
            self.keep(trace_id)
            return
        with self._lock:
            if trace_id in self._held:
                self._let_go(trace_id)
                self._drop(trace_id)

    def keep(self, trace_id: int) -> None:
        """Send what was held of this run, and all that follows."""
        with self._lock:
            spans = self._let_go(trace_id)
        self._send(spans)

    def is_sent(self, trace_id: int) -> bool:
        """Whether it is certain by now that the run is sent."""
        return trace_id not in self._held and trace_id not in self._dropped

    def renew(self) -> None:
        """Begin anew in a forked process: what is undecided is its parent's to send."""
        self._lock = threading.RLock()
        for trace_id in self._held:
            self._drop(trace_id)
        self._held.clear()
        self._held_bytes = 0

    def _drop(self, trace_id: int) -> None:
        # What is recorded of it after its end is dropped as well, as long as it is remembered.
        self._dropped[trace_id] = None
        if len(self._dropped) > _DROPPED_REMEMBERED:
            oldest, _ = self._dropped.popitem(last=False)
            if oldest in active_runs:
                self._dropped[oldest] = None

    def _let_go(self, trace_id: int) -> list[ReadableSpan]:
        """What was held of a run is held no more."""
        held = self._held.pop(trace_id, _NOTHING)
        self._held_bytes -= held.bytes
        return held.spans

    def _send(self, spans: list[ReadableSpan]) -> None:
        # Without the lock: a full queue may let the program wait, and the exporting thread comes here as well.
        for span in spans:
            self.inner.on_end(span)

    # --- The sink ---------------------------------------------------------------------------------

    def on_end(self, span: ReadableSpan) -> None:
        trace_id = span.context.trace_id if span.context is not None else 0
        if trace_id in self._held or trace_id in self._dropped:
            with self._lock:
                if (held := self._held.get(trace_id)) is not None:
                    spans = self._hold(held, span)
                elif trace_id in self._dropped:
                    spans = []
                else:
                    spans = [span]
            return self._send(spans)
        return self.inner.on_end(span)

    def _hold(self, held: _Held, span: ReadableSpan) -> list[ReadableSpan]:
        """What is to be sent instead, where too much is held."""
        size = size_of(span)
        held.spans.append(span)
        held.bytes += size
        self._held_bytes += size
        spans: list[ReadableSpan] = []
        while self._held_bytes > MAX_HELD_BYTES:
            spans += self._let_go(next(iter(self._held)))
        return spans

    def opened(self, span: RecordedSpan) -> None:
        self.inner.opened(span)

    def closed(self, span: RecordedSpan) -> None:
        self.inner.closed(span)

    def flush(self, timeout: float) -> bool:
        return self.inner.flush(timeout)

    def secure(self, timeout: float) -> bool:
        return self.inner.secure(timeout)

    def shutdown(self) -> None:
        """A run that is still open will never say what it came to: rather too many than a gap."""
        for trace_id in list(self._held):
            self.keep(trace_id)
        self.inner.shutdown()

    def lost_of(self, trace_id: int) -> int:
        return self.inner.lost_of(trace_id)

    @property
    def is_failing(self) -> bool:
        return self.inner.is_failing


_samplers: WeakSet[Sampler] = WeakSet()


def _after_fork() -> None:
    for sampler in list(_samplers):
        sampler.renew()


in_forked_child(_after_fork)
