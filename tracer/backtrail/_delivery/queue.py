"""What waits between the agent's threads and the exporting one: bounded in bytes, counted span by span.

    Processor.on_end → **SpanQueue** → Parcel → the exporting thread

A span waits as it ended, which costs its thread nothing, with an estimate of its size; the exporting thread turns
spans into parcels, whose bytes are known. While the server is away all are, so that memory holds what it is told to.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from opentelemetry.sdk.trace import ReadableSpan

from backtrail import semconv
from backtrail._boundary import complain

from .parcel import MAX_PARCEL_BYTES, MAX_PARCEL_SPANS, Parcel, join

Pack = Callable[[Sequence[ReadableSpan]], list[Parcel]]

BLOCK_SECONDS = 30.0

# Of the bound, what is left free for the ends of runs and for pending rows: each tells of more than itself.
_RESERVED = 16


class SpanQueue:
    """Spans in order, then parcels in order. `settled` counts what is done with, `secured` what a crash cannot take."""

    def __init__(self, pack: Pack, max_bytes: int, *, blocks: bool) -> None:
        self._pack = pack
        # Re-entrant: the garbage collector may end a span on a thread that is in here.
        self._lock = threading.RLock()
        self.changed = threading.Condition(self._lock)
        self._packing = threading.Lock()
        self._spans: deque[tuple[ReadableSpan, int]] = deque()
        self._parcels: deque[Parcel] = deque()
        self._limit = max_bytes
        self._ordinary_limit = max_bytes - max_bytes // _RESERVED
        self._blocks = blocks
        self._gave_up = False
        self._press_at = max_bytes // 4
        self.emptied_by: int | None = None
        self.bytes = 0
        self.span_bytes = 0
        self.accepted = 0
        self.settled = 0
        self.secured = 0
        self.is_closed = False
        self.request_bytes = MAX_PARCEL_BYTES

    def __bool__(self) -> bool:
        return bool(self._spans or self._parcels)

    @property
    def has_spans(self) -> bool:
        return bool(self._spans)

    @property
    def has_parcels(self) -> bool:
        return bool(self._parcels)

    @property
    def is_pressed(self) -> bool:
        """Whether spans should be made into parcels, whatever the server does: those take less, and exactly so much."""
        return self.span_bytes > self._press_at

    def put(self, span: ReadableSpan, size: int) -> bool:
        """Whether there was room."""
        with self._lock:
            if self.bytes + size > self._ordinary_limit and not self._finds_room(span, size):
                return False
            if self.is_closed:
                return False
            self._spans.append((span, size))
            self.bytes += size
            self.span_bytes += size
            self.accepted += 1
        return True

    def _finds_room(self, span: ReadableSpan, size: int) -> bool:
        limit = self._limit if _stands_for_more(span) else self._ordinary_limit

        def has_room() -> bool:
            return self.bytes + size <= limit or self.is_closed

        if has_room():
            return True
        if not self._blocks or self._gave_up or threading.get_ident() == self.emptied_by:
            return False
        if not self.changed.wait_for(has_room, BLOCK_SECONDS):
            # One long wait for an outage, not one for every step: the program has its own work to do.
            self._gave_up = True
            return False
        return True

    # --- Into parcels -----------------------------------------------------------------------------

    def pack(self, lose: Callable[[ReadableSpan], None], *, all_of_them: bool) -> None:
        """Make parcels of what waits, oldest first; spans that cannot be encoded are lost."""
        with self._packing:
            left = len(self._spans)
            while left > 0 and (spans := self._next_spans()):
                left -= len(spans)
                size = sum(size for _, size in spans)
                parcels = _packed(self._pack, [span for span, _ in spans], lose)
                with self.changed:
                    for _ in spans:
                        self._spans.popleft()
                    self._parcels.extend(parcels)
                    self.span_bytes -= size
                    self.bytes += sum(parcel.size for parcel in parcels) - size
                    lost = len(spans) - sum(parcel.span_count for parcel in parcels)
                    self.settled += lost
                    self.secured += lost
                    self.changed.notify_all()
                if not all_of_them:
                    return

    def _next_spans(self) -> list[tuple[ReadableSpan, int]]:
        spans: list[tuple[ReadableSpan, int]] = []
        size = 0
        with self._lock:
            # By place: a span that ends meanwhile on this very thread would spoil an iteration.
            for place in range(min(len(self._spans), MAX_PARCEL_SPANS)):
                size += self._spans[place][1]
                if spans and size > self.request_bytes:
                    break
                spans.append(self._spans[place])
        return spans

    def first_parcel(self) -> Parcel | None:
        """The oldest, made one with as many of the next as go into one request; it stays until it is taken out.

        One that the server failed over is asked about by itself: it may be the reason, and the next are not.
        """
        with self._lock:
            first: list[Parcel] = []
            size = 0
            for parcel in self._parcels:
                size += parcel.size
                if first and (size > self.request_bytes or first[0].failures):
                    break
                first.append(parcel)
            if len(first) > 1:
                for _ in first:
                    self._parcels.popleft()
                self._parcels.appendleft(join(first))
            return self._parcels[0] if self._parcels else None

    def parcels(self) -> list[Parcel]:
        with self._lock:
            return list(self._parcels)

    def replace(self, parcel: Parcel, parts: Sequence[Parcel]) -> None:
        """By its parts, since it was too large for the server; what follows is not made so large again."""
        with self._lock:
            self.request_bytes = max(part.size for part in parts)
            if parcel in self._parcels:
                self.bytes += sum(part.size for part in parts) - parcel.size
                place = self._parcels.index(parcel)
                del self._parcels[place]
                for part in reversed(parts):
                    self._parcels.insert(place, part)

    def take_out(self, parcels: Sequence[Parcel], *, settles: bool) -> None:
        """They are acknowledged or lost, or kept elsewhere; some may have been taken out before."""
        with self.changed:
            for parcel in parcels:
                if parcel not in self._parcels:
                    continue
                self._parcels.remove(parcel)
                self.bytes -= parcel.size
                self.secured += parcel.span_count
                self.settled += parcel.span_count if settles else 0
            self._gave_up = self._gave_up and self.bytes > self._limit // 2
            self.changed.notify_all()

    # --- Waiting for it ---------------------------------------------------------------------------

    def settle(self, span_count: int) -> None:
        """Spans that were kept elsewhere have been delivered, or lost, from there."""
        with self.changed:
            self.settled += span_count
            self.changed.notify_all()

    def wait_for(self, is_so: Callable[[], bool], timeout: float) -> bool:
        with self.changed:
            return self.changed.wait_for(is_so, timeout)

    def close(self) -> None:
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()


def _stands_for_more(span: ReadableSpan) -> bool:
    return span.parent is None or (span.attributes or {}).get(semconv.KIND) == "pending"


def _packed(pack: Pack, spans: Sequence[ReadableSpan], lose: Callable[[ReadableSpan], None]) -> list[Parcel]:
    try:
        return pack(spans)
    except Exception as error:
        if len(spans) > 1:
            # One span spoils the request for all of them.
            return [parcel for span in spans for parcel in _packed(pack, [span], lose)]
        complain("encoding a span", "the span %r cannot be sent and is lost", spans[0].name, error=error)
        lose(spans[0])
        return []
