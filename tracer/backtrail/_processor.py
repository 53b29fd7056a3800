"""Between the agent and the network: a bounded queue, one thread, and a count of everything lost.

    RecordedSpan.end → **queue → batches** → _clean → _delivery

A batch leaves at most `INTERVAL` after its first span, so that a killed process has lost little. A
batch the server could not take goes back to the front. What does not fit is dropped and counted,
for each run, and the run says so.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from weakref import WeakSet

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value
from opentelemetry.sdk.trace import ReadableSpan

from . import semconv
from ._boundary import complain, logger, never_raise
from ._clean import clean
from ._delivery import EXPORT_THREAD, Delivery, Outcome
from ._lifetime import in_forked_child
from ._span import RecordedSpan

INTERVAL = 0.2
EXIT_SECONDS = 4.0
MAX_QUEUED_SPANS = 20_000
MAX_QUEUED_BYTES = 64 << 20
MAX_BATCH_SPANS = 512
MAX_BATCH_BYTES = 8 << 20

_OPEN_NANOSECONDS = 1_000_000_000
_LONGEST_BACKOFF = 5.0
_SPAN_BYTES = 2_048
_HEAVY = (
    semconv.STEP_INPUT,
    semconv.STEP_RESULT,
    semconv.STEP_DELTAS,
    semconv.GEN_AI_INPUT_MESSAGES,
    semconv.GEN_AI_OUTPUT_MESSAGES,
    semconv.CHECKPOINT_VALUES,
    semconv.RUN_INPUT,
    semconv.RUN_RESULT,
)


class Processor:
    """Takes finished spans and sees that they are delivered."""

    def __init__(self, delivery: Delivery, *, interval: float = INTERVAL) -> None:
        self._delivery = delivery
        self._interval = interval
        self._is_shut_down = False
        self._reset()
        _processors.add(self)

    def _reset(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._queue: deque[tuple[ReadableSpan, int]] = deque()
        self._queued_bytes = 0
        self._accepted = 0
        self._settled = 0
        self._lost = 0
        self._lost_told = 0
        self._lost_of: Counter[int] = Counter()
        self._open: dict[int, RecordedSpan] = {}
        self._failures = 0
        self._is_idle = False
        self._thread: threading.Thread | None = None

    def renew(self) -> None:
        """Begin anew in a forked process: the parent still has its spans and will send them."""
        # A lock that another thread of the parent held would stay held here.
        self._reset()
        self._delivery.renew()

    # --- On the agent's threads -------------------------------------------------------------------

    def opened(self, span: RecordedSpan) -> None:
        """A step has started; if it is still open after a second, a pending row goes out for it."""
        self._open[span.context.span_id] = span
        if self._is_idle:
            self._wake.set()

    def closed(self, span: RecordedSpan) -> None:
        self._open.pop(span.context.span_id, None)

    def on_end(self, span: ReadableSpan) -> None:
        size = _size(span)
        with self._changed:
            if self._thread is None and not self._is_shut_down:
                self._start()
            is_full = len(self._queue) >= MAX_QUEUED_SPANS or self._queued_bytes + size > MAX_QUEUED_BYTES
            is_lost = is_full or self._is_shut_down
            if is_lost:
                self._lost += 1
                self._lost_of[span.context.trace_id if span.context else 0] += 1
            else:
                self._queue.append((span, size))
                self._queued_bytes += size
                self._accepted += 1
        if is_lost and is_full:
            complain("a full queue", "too many spans wait for %s; new ones are lost", self._delivery.endpoint)
        elif self._is_idle:
            self._wake.set()

    @property
    def is_failing(self) -> bool:
        """Whether the last batch could not be delivered."""
        return self._failures > 0

    def lost_of(self, trace_id: int) -> int:
        return self._lost_of.get(trace_id, 0)

    def flush(self, timeout: float) -> bool:
        """Whether everything is acknowledged within this time, and nothing was lost since it was last asked."""
        with self._changed:
            target, told = self._accepted, self._lost_told
            if self._settled < target:
                self._hurry.set()
                self._wake.set()
            is_settled = self._changed.wait_for(lambda: self._settled >= target, timeout)
            self._lost_told = self._lost
            return is_settled and self._lost == told

    def shutdown(self, timeout: float = EXIT_SECONDS) -> None:
        """Deliver what can be delivered in this time, and stop."""
        if self._is_shut_down:
            return
        self.flush(timeout)
        self._is_shut_down = True
        self._delivery.shutdown()
        self._hurry.set()
        self._wake.set()
        if (left := self._accepted - self._settled) > 0:
            where = self._delivery.endpoint
            logger.warning("%d spans could not be delivered to %s before the end of the program", left, where)

    # --- On our own thread ------------------------------------------------------------------------

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name=EXPORT_THREAD, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        while not self._is_shut_down:
            with never_raise("exporting spans"):
                self._turn()

    def _turn(self) -> None:
        self._pend_slow_steps()
        batch = self._take()
        is_cut = bool(self._queue)
        if batch:
            self._deliver(batch)
        if is_cut and not self._failures:
            return
        if not self._queue:
            self._is_idle = True
            if not self._queue:
                self._wake.wait(timeout=self._interval if self._open else None)
            self._is_idle = False
            self._wake.clear()
        self._hurry.wait(self._backoff() if self._failures else self._interval)
        self._hurry.clear()

    def _backoff(self) -> float:
        return float(min(self._interval * 2**self._failures, _LONGEST_BACKOFF))

    def _pend_slow_steps(self) -> None:
        """Steps open for a second get their pending row; most steps never need one."""
        started_before = time.time_ns() - _OPEN_NANOSECONDS
        for span_id, span in list(self._open.items()):
            if span.start_time > started_before:
                break
            if self._open.pop(span_id, None) is not None:
                span.recorder.pending(span)

    def _take(self) -> list[tuple[ReadableSpan, int]]:
        batch: list[tuple[ReadableSpan, int]] = []
        size = 0
        with self._changed:
            while self._queue and len(batch) < MAX_BATCH_SPANS:
                if batch and size + self._queue[0][1] > MAX_BATCH_BYTES:
                    break
                item = self._queue.popleft()
                batch.append(item)
                size += item[1]
            self._queued_bytes -= size
        return batch

    def _deliver(self, batch: list[tuple[ReadableSpan, int]]) -> None:
        try:
            outcome = self._delivery.send([clean(span) for span, _ in batch])
        except Exception:
            # Without this a span that cannot be encoded would stay at the front for ever.
            self._settle(batch, Outcome.REFUSED)
            raise
        self._settle(batch, outcome)

    def _settle(self, batch: list[tuple[ReadableSpan, int]], outcome: Outcome) -> None:
        with self._changed:
            if outcome is Outcome.UNREACHABLE:
                if self._failures == 0 and not self._is_shut_down:
                    logger.warning(
                        "spans cannot be delivered to %s now; they are kept and sent when it answers",
                        self._delivery.endpoint,
                    )
                self._failures += 1
                self._queue.extendleft(reversed(batch))
                self._queued_bytes += sum(size for _, size in batch)
                return
            self._failures = 0
            self._settled += len(batch)
            if outcome is Outcome.REFUSED:
                self._lost += len(batch)
                self._lost_of.update(span.context.trace_id for span, _ in batch if span.context)
            self._changed.notify_all()


_processors: WeakSet[Processor] = WeakSet()


def _after_fork() -> None:
    for processor in list(_processors):
        processor.renew()


in_forked_child(_after_fork)


def _size(span: ReadableSpan) -> int:
    attributes = span.attributes or {}
    size = _SPAN_BYTES
    for name in _HEAVY:
        value = attributes.get(name)
        if value is not None:
            size += _SPAN_BYTES if not isinstance(value, str) else len(value) * (1 if value.isascii() else 3)
    return size
