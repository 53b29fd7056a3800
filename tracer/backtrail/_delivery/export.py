"""The exporting thread: when what waits is sent, and what is done about the answer.

    queue → **ExportThread** → delivery
                └──────────→ spool

A batch leaves at most `INTERVAL` after its first span, so that a killed process has lost little. What the server
could not take stays at the front, or goes to the spool; what it refuses is counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value

from backtrail._boundary import complain, logger, never_raise

from .bell import Bell
from .connection import EXPORT_THREAD
from .delivery import Answer, Delivery, Outcome
from .heartbeat import Heartbeat
from .losses import Losses
from .open_steps import OpenSteps
from .parcel import Parcel, halve
from .queue import SpanQueue
from .spool import Spool
from .spool_file import Record

INTERVAL = 0.2

_LONGEST_BACKOFF = 5.0
_MOST_FAILURES = 8
_RECORD_BYTES = 2_048
_SECONDS_BETWEEN_LOOKS = 30.0


class ExportThread:
    def __init__(
        self,
        queue: SpanQueue,
        delivery: Delivery,
        losses: Losses,
        steps: OpenSteps,
        heartbeat: Heartbeat | None,
        spool: Spool | None,
        *,
        interval: float,
    ) -> None:
        self._queue = queue
        self._delivery = delivery
        self._losses = losses
        self._steps = steps
        self._heartbeat = heartbeat
        self._spool = spool
        self._interval = interval
        self._starting = threading.RLock()
        self._spooling = threading.Lock()
        self._wake = Bell()
        self._hurry = Bell()
        self._is_stopped = False
        self._next_try = 0.0
        self._is_told_to_wait = False
        self._may_tell = False
        self._looked_for_spools = time.monotonic()
        self.is_started = False
        self.is_idle = False
        self.is_ending = False
        self.failures = 0
        self.trouble = ""

    # --- From other threads -----------------------------------------------------------------------

    def start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self.is_started or self._is_stopped:
                return
            # Before the start: what the garbage collector ends during it comes here again.
            self.is_started = True
            try:
                threading.Thread(target=self._work, name=EXPORT_THREAD, daemon=True).start()
            except RuntimeError as error:
                self.is_started = False
                # From Python 3.12 on there are no new threads once the main one has ended.
                if threading.main_thread().is_alive():
                    complain("the exporting thread", "spans are sent at the end of the program: %s", error)
        finally:
            self._starting.release()

    def work_here(self, is_done: Callable[[], bool], seconds: float) -> None:
        """Do its work on the caller's thread, where no other could be started."""
        end = time.monotonic() + seconds
        if not self._starting.acquire(timeout=seconds):
            return
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        self._queue.emptied_by = threading.get_ident()
        self.hurry()
        try:
            while not (self.is_started or self._is_stopped or is_done() or time.monotonic() > end):
                self.wake()
                with never_raise("exporting spans"):
                    self._turn()
        finally:
            self._queue.emptied_by = None
            detach(token)
            self._starting.release()

    def stop(self) -> None:
        self._is_stopped = True
        self._steps.close()
        self.hurry()

    def wake(self) -> None:
        self._wake.ring()

    def hurry(self, *, at_once: bool = False) -> None:
        """Do not wait for more spans; `at_once` asks a server again that was away."""
        if at_once and not self._is_told_to_wait:
            self._next_try = 0.0
        self._hurry.ring()
        self._wake.ring()

    def spool_everything(self) -> None:
        """Have all that waits, and what is on its way, on the disk."""
        if self._spool is None:
            return
        with self._spooling:
            self._queue.pack(self._losses.add_span, all_of_them=True)
            parcels = self._queue.parcels()
            kept = parcels[: self._spool.append(parcels)]
            self._queue.take_out(kept, settles=False)

    def tell_of_losses(self) -> None:
        """Where the server takes what it is sent, let it know what it was not."""
        if self._heartbeat is not None and self._may_tell:
            self._may_tell = False
            self._heartbeat.tell(lambda record: self._queue.put(record, _RECORD_BYTES))

    # --- The thread itself ------------------------------------------------------------------------

    def _work(self) -> None:
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        self._queue.emptied_by = threading.get_ident()
        while not self._is_stopped:
            is_done = False
            with never_raise("exporting spans"):
                self._turn()
                is_done = True
            if not is_done:
                # What failed once may fail each time: not in a loop as fast as it goes.
                time.sleep(self._pause())

    def _turn(self) -> None:
        is_away = self.failures > 0
        self._steps.pend_slow_ones()
        if self._heartbeat is not None and not is_away:
            self._heartbeat.beat()
        self._queue.pack(self._losses.add_span, all_of_them=is_away)
        is_cut = self._queue.has_spans
        if is_away:
            self.spool_everything()
        if time.monotonic() >= self._next_try:
            is_cut = self._send() or is_cut
        if self.failures or not is_cut:
            self._rest()

    def _send(self) -> bool:
        """Send one request; whether there is more."""
        with self._spooling:
            parcel = self._queue.first_parcel()
        if parcel is not None:
            self._note(answer := self._ask(parcel))
            self._settle(parcel, answer)
        elif self._spool and (record := self._spool.last()) is not None:
            self._send_spooled(self._spool, record)
        return bool(self._queue.has_parcels or self._spool)

    def _ask(self, parcel: Parcel) -> Answer:
        try:
            return self._delivery.send(parcel)
        except Exception as error:
            complain("sending spans", "sending spans to %s failed", self._delivery.endpoint, error=error)
            return Answer(Outcome.FAULTY)

    def _note(self, answer: Answer) -> None:
        self._is_told_to_wait = answer.wait > 0
        if answer.outcome in (Outcome.UNREACHABLE, Outcome.FAULTY):
            self.trouble = f" ({answer.why})" if answer.why else ""
            if self.failures == 1 and not self.is_ending:
                message = "spans cannot be delivered to %s now%s; they are kept and sent when it answers"
                logger.warning(message, self._delivery.endpoint, self.trouble)
            self.failures += 1
            backoff = min(self._interval * 2**self.failures, _LONGEST_BACKOFF)
            self._next_try = time.monotonic() + max(backoff if not self._is_told_to_wait else 0.0, answer.wait)
        else:
            self.failures = 0
            self._may_tell = self._may_tell or answer.outcome is Outcome.DELIVERED

    def _settle(self, parcel: Parcel, answer: Answer) -> None:
        match answer.outcome:
            case Outcome.UNREACHABLE:
                return
            case Outcome.TOO_LARGE:
                self._queue.replace(parcel, halve(parcel))
                return
            case Outcome.FAULTY if not self._is_hopeless(parcel):
                return
            case Outcome.DELIVERED:
                self._count_rejected(parcel, answer)
            case _:
                self._losses.add_parcel(parcel)
        self._queue.take_out([parcel], settles=True)

    def _send_spooled(self, spool: Spool, record: Record) -> None:
        parcel = record.read()
        if parcel is None:
            complain("a damaged spool", "%d spans in %s cannot be read", record.span_count, record.file.path)
            self._losses.total += record.span_count
            self._queue.settle(spool.take_out(record))
            return
        self._note(answer := self._ask(parcel))
        match answer.outcome:
            case Outcome.UNREACHABLE:
                return
            case Outcome.FAULTY if not self._is_hopeless(record):
                return
            case Outcome.TOO_LARGE if spool.split(record, halve(parcel)):
                return
            case Outcome.DELIVERED:
                self._count_rejected(parcel, answer)
            case _:
                self._losses.add_parcel(parcel)
        self._queue.settle(spool.take_out(record))

    def _count_rejected(self, parcel: Parcel, answer: Answer) -> None:
        if answer.rejected:
            self._losses.add_rejected(parcel, answer.rejected)

    def _is_hopeless(self, load: Parcel | Record) -> bool:
        """A server that fails again and again may do so because of these very spans."""
        load.failures += 1
        if load.failures <= _MOST_FAILURES:
            return False
        message = "%s failed %d times to take %d spans; they are lost"
        complain("refused spans", message, self._delivery.endpoint, load.failures, load.span_count)
        self.failures = 0
        return True

    def _rest(self) -> None:
        if not self.failures and not self._queue:
            self._look_for_spools()
            self.tell_of_losses()
            self.is_idle = True
            if not self._queue and not self._is_stopped:
                self._wake.wait(self._idle_seconds())
            self.is_idle = False
        self._hurry.wait(self._pause())

    def _idle_seconds(self) -> float | None:
        waits = (
            self._interval if self._steps else None,
            self._heartbeat.seconds_to_wait() if self._heartbeat is not None else None,
            _SECONDS_BETWEEN_LOOKS if self._spool is not None else None,
        )
        return min((wait for wait in waits if wait is not None), default=None)

    def _look_for_spools(self) -> None:
        """Another process with the same folder may have died meanwhile."""
        now = time.monotonic()
        if self._spool is not None and now - self._looked_for_spools >= _SECONDS_BETWEEN_LOOKS:
            self._looked_for_spools = now
            self._spool.take_over()

    def _pause(self) -> float:
        if not self.failures:
            return self._interval
        until_next_try = max(self._next_try - time.monotonic(), 0.0)
        return until_next_try if self._spool is None else min(until_next_try, self._interval)
