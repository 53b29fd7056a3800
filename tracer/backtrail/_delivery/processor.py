"""Between the agent and the network: takes finished spans, and sees that they are delivered or counted as lost.

    RecordedSpan.end → **Processor** → queue → the exporting thread → delivery

Behind it stand the queue (what waits, and how much may), the thread (when what is sent), the losses (whose spans were
dropped), the heartbeat (what is open), and the spool, if there is a folder for one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from weakref import WeakSet

from opentelemetry.sdk.trace import ReadableSpan

from backtrail._boundary import complain, logger, never_raise
from backtrail._spans.span import RecordedSpan

from .delivery import Delivery
from .export import INTERVAL, ExportThread
from .heartbeat import HEARTBEAT_SECONDS, Heartbeat
from .lifetime import in_forked_child
from .limits import DEFAULT_MAX_QUEUE_BYTES, OnFull
from .losses import Losses
from .open_steps import OpenSteps
from .queue import SpanQueue
from .size import size_of
from .spool import Spool

EXIT_SECONDS = 4.0
LAST_WORD_SECONDS = 0.5

_EXIT_SECONDS_WHILE_AWAY = 1.0
_EXIT_LOOK_SECONDS = 0.1
_SECONDS_UNWATCHED = 60.0


class Processor:
    """One server's: the sink at the end of every recorder that sends to it.

    Without a `heartbeat` it says nothing of itself: what is behind it is no server of ours.
    """

    def __init__(
        self,
        delivery: Delivery,
        *,
        interval: float = INTERVAL,
        max_queue_bytes: int = DEFAULT_MAX_QUEUE_BYTES,
        on_full: OnFull = "mark",
        spool: Spool | None = None,
        heartbeat: float | None = HEARTBEAT_SECONDS,
    ) -> None:
        self._delivery = delivery
        self._spool = spool
        self._begin: Callable[[], None] = lambda: self._set_up(interval, max_queue_bytes, on_full, heartbeat)
        self._begin()
        _processors.add(self)
        if spool is not None:
            spool.take_over()
            if spool:
                self._thread.start()

    def _set_up(self, interval: float, max_queue_bytes: int, on_full: OnFull, heartbeat: float | None) -> None:
        self._is_shut_down = False
        self._has_ended = threading.Event()
        self._told_lost = 0
        self._losses = Losses()
        self._steps = OpenSteps(is_watched=interval < _SECONDS_UNWATCHED)
        self._queue = SpanQueue(self._delivery.pack, max_queue_bytes, blocks=on_full == "block")
        pulse = Heartbeat(self, self._losses, heartbeat) if heartbeat is not None else None
        self._thread = ExportThread(
            self._queue, self._delivery, self._losses, self._steps, pulse, self._spool, interval=interval
        )

    def renew(self) -> None:
        """Begin anew in a forked process: the parent still has its spans and will send them."""
        # A lock that another thread of the parent held would stay held here.
        was_shut_down = self._is_shut_down
        self._begin()
        if was_shut_down:
            self._is_shut_down = True
            self._has_ended.set()
            self._queue.close()
        self._delivery.renew()
        if self._spool is not None:
            self._spool.renew()

    # --- On the agent's threads -------------------------------------------------------------------

    def opened(self, span: RecordedSpan) -> None:
        """A step has started; if it is still open after a second, a pending row goes out for it."""
        if self._steps.opened(span) and self._thread.is_idle:
            self._thread.wake()

    def closed(self, span: RecordedSpan) -> None:
        self._steps.closed(span)

    def on_end(self, span: ReadableSpan) -> None:
        thread = self._thread
        if not thread.is_started:
            thread.start()
        if not self._queue.put(span, size_of(span)):
            self._losses.add_span(span)
            if not self._queue.is_closed:
                complain("a full queue", "too many spans wait for %s; new ones are lost", self._delivery.endpoint)
        elif thread.is_idle:
            thread.wake()
        elif self._queue.is_pressed:
            thread.hurry()

    @property
    def is_failing(self) -> bool:
        """Whether the last batch could not be delivered."""
        return self._thread.failures > 0

    def lost_of(self, trace_id: int) -> int:
        return self._losses.of(trace_id)

    def flush(self, timeout: float) -> bool:
        """Whether everything is acknowledged within this time, and nothing was lost since it was last asked."""
        queue, spool = self._queue, self._spool
        target, told = queue.accepted, self._told_lost

        def is_settled() -> bool:
            return queue.settled >= target and (spool is None or spool.own_span_count == 0)

        if threading.get_ident() == queue.emptied_by:
            # The end of a run that the garbage collector found there.
            return False
        if not is_settled():
            self._thread.hurry(at_once=True)
            if not self._thread.is_started:
                self._thread.work_here(is_settled, timeout)
        is_done = queue.wait_for(is_settled, timeout)
        self._told_lost = self._losses.total
        return is_done and self._losses.total == told

    def secure(self, timeout: float) -> bool:
        """Whether everything is acknowledged, or synced in the spool, within about this time."""
        queue = self._queue
        if self._spool is None:
            return self.flush(timeout)
        target = queue.accepted
        if queue.secured < target:
            self._thread.hurry()
        if not queue.wait_for(lambda: queue.secured >= target, timeout):
            self._thread.spool_everything()
        return queue.secured >= target

    def shutdown(self, timeout: float = EXIT_SECONDS) -> None:
        """Deliver what can be delivered in this time, spool the rest, and stop."""
        if self._is_shut_down:
            # Another thread is at it, and a program that ends has to wait for that.
            self._has_ended.wait(timeout)
            return
        self._is_shut_down = self._thread.is_ending = True
        try:
            self._end(timeout)
        finally:
            self._has_ended.set()

    def _end(self, timeout: float) -> None:
        end = time.monotonic() + (min(timeout, _EXIT_SECONDS_WHILE_AWAY) if self.is_failing else timeout)
        self._flush_until(end)
        if self._is_settled():
            self._thread.tell_of_losses()
            self._flush_until(max(end, time.monotonic() + LAST_WORD_SECONDS))
        self._queue.close()
        if self._spool is not None:
            self._thread.spool_everything()
        self._thread.stop()
        self._delivery.shutdown()
        self._say_what_is_left()
        if self._spool is not None:
            self._spool.close()

    def _flush_until(self, end: float) -> None:
        # With a spool there is no reason to wait for a server that is away.
        while not self._is_settled() and (left := end - time.monotonic()) > 0:
            if self._spool is not None and self.is_failing:
                return
            self.flush(min(left, _EXIT_LOOK_SECONDS) if self._spool is not None else left)

    def _is_settled(self) -> bool:
        return self._queue.settled >= self._queue.accepted and (self._spool is None or not self._spool.own_span_count)

    def _say_what_is_left(self) -> None:
        where = self._delivery.endpoint
        kept = self._spool.own_span_count if self._spool is not None else 0
        if kept and self._spool is not None:
            message = "%d spans could not be delivered to %s before the end of the program; they are kept in %s"
            logger.warning(message, kept, where, self._spool.folder)
        if (left := self._queue.accepted - self._queue.settled - kept) > 0:
            message = "%d spans could not be delivered to %s before the end of the program%s"
            logger.warning(message, left, where, self._thread.trouble)


_processors: WeakSet[Processor] = WeakSet()


def _after_fork() -> None:
    for processor in list(_processors):
        with never_raise("starting anew after a fork"):
            processor.renew()


in_forked_child(_after_fork)
