"""Keeps every accepted request on disk until the store has it; the acknowledgement waits for its sync.

    receiver → admission → **inbox** → ack
                              └──────→ writer → store

One thread owns the file. Whatever arrived while it was syncing (appends, deletions, the writer's wish for a
batch) goes into its next transaction together, so latency is bounded by one group.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

from backtrail_ingest.backlog import Backlog, Choice
from backtrail_ingest.envelope import Envelope
from backtrail_ingest.errors import InboxFull
from backtrail_ingest.inbox_file import Entry, InboxFile
from backtrail_ingest.ledger import Ledger

logger = logging.getLogger(__name__)

T = TypeVar("T")

HELD_BYTES = 256 << 20
IDLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Append:
    envelope: Envelope
    loop: asyncio.AbstractEventLoop
    synced: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class _Delete:
    first_id: int
    last_id: int
    span_count: int


@dataclass(frozen=True, slots=True)
class _Quarantine:
    id: int
    span_count: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class _Take:
    max_bytes: int
    batch: Future[list[Entry]]


@dataclass(frozen=True, slots=True, eq=False)
class _Ask:
    question: Callable[[InboxFile], object]
    answer: Future[object]


class _StopTaking:
    pass


class _Close:
    pass


_Order = _Append | _Delete | _Quarantine | _Take | _Ask | _StopTaking | _Close


class Inbox:
    def __init__(self, path: Path, *, max_bytes: int, ledger: Ledger, held_bytes: int = HELD_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._held_bytes = held_bytes
        self._ledger = ledger
        self._orders: SimpleQueue[_Order] = SimpleQueue()
        self._owed: list[_Delete | _Quarantine] = []
        self._take: _Take | None = None
        self._is_handing_out = True
        self._is_closing = False
        self._is_rested = False
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._work, name="inbox", daemon=True)
        self.trouble: str | None = None

    # --- for receivers, writer and server -------------------------------------------------------------

    def open(self) -> None:
        self._thread.start()
        self._opened.result()

    def close(self) -> None:
        self._orders.put(_Close())
        self._thread.join()

    async def append(self, envelope: Envelope) -> None:
        """Returns when the envelope is synced to disk."""
        loop = asyncio.get_running_loop()
        synced = loop.create_future()
        self._orders.put(_Append(envelope, loop, synced))
        await synced

    def take(self, max_bytes: int) -> Future[list[Entry]]:
        """The oldest entries: at least one, up to `max_bytes`, each handed out once; none after `stop_taking`."""
        take = _Take(max_bytes, Future())
        self._orders.put(take)
        return take.batch

    def stop_taking(self) -> None:
        """Answers the take that waits, and all later ones, with nothing: the writer is to end."""
        self._orders.put(_StopTaking())

    def delete(self, entries: Sequence[Entry]) -> None:
        """The store has these consecutive entries on its disk."""
        span_count = sum(entry.envelope.span_count for entry in entries)
        self._orders.put(_Delete(entries[0].id, entries[-1].id, span_count))

    def quarantine(self, entry: Entry, reason: str) -> None:
        """The store will never take this one: it stays on our disk, out of the way, with the reason."""
        self._orders.put(_Quarantine(entry.id, entry.envelope.span_count, reason))

    def ask(self, question: Callable[[InboxFile], T]) -> T:
        """What the file says, asked on its own connection."""
        answer: Future[Any] = Future()
        self._orders.put(_Ask(question, answer))
        return cast("T", answer.result())

    # --- the inbox's own thread -----------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._start()
        except BaseException as error:
            self._opened.set_exception(error)
            return
        self._opened.set_result(None)
        while not self._is_closing:
            self._commit(self._next_orders())
        self._rest()
        self._file.close()

    def _start(self) -> None:
        self._file, aside = InboxFile.open_or_replace(self._path, max_bytes=self._max_bytes)
        if aside is not None:
            self.trouble = f"the inbox could not be read and was put aside as {aside}"
            logger.error("%s", self.trouble)
        self._backlog = Backlog(self._file, max_held_bytes=self._held_bytes)
        counts = self._file.counts()
        self._ledger.found(waiting=counts.waiting_spans, quarantined=counts.quarantined_spans)

    def _next_orders(self) -> list[_Order]:
        orders: list[_Order] = []
        try:
            orders.append(self._orders.get(timeout=None if self._is_rested and not self._owed else IDLE_SECONDS))
            while True:
                orders.append(self._orders.get_nowait())
        except Empty:
            return orders

    def _commit(self, orders: list[_Order]) -> None:
        appends = [order for order in orders if isinstance(order, _Append)]
        for order in orders:
            match order:
                case _Delete() | _Quarantine():
                    self._owed.append(order)
                case _Take():
                    self._take = order
                case _StopTaking():
                    self._is_handing_out = False
                case _Close():
                    self._is_closing = True
        if not orders and not self._owed:
            self._rest()
            return
        try:
            self._write(appends)
        except sqlite3.Error as error:
            self._refuse(appends, error)
            self._write_without_appends()
        for order in orders:
            if isinstance(order, _Ask):
                _answer(order, self._file)

    def _write(self, appends: Sequence[_Append]) -> None:
        """One transaction: what is owed, what came in, and the boundaries of the batch that goes out."""
        arriving = [Entry(self._backlog.last_id + n, append.envelope) for n, append in enumerate(appends, start=1)]
        choice = Choice()
        with self._file.transaction():
            for order in self._owed:
                self._apply(order)
            for entry in arriving:
                self._file.append(entry)
            if self._take is not None and self._is_handing_out:
                choice = self._backlog.choose(arriving, max_bytes=self._take.max_bytes)
            for row in choice.damaged:
                self._file.quarantine(row.id, "damaged on disk: the request no longer has the digest it came with")
            if choice.entries:
                self._file.set_in_flight(choice.entries[0].id, choice.entries[-1].id)
        self._is_rested = False
        self._backlog.settle(arriving, choice)
        self._enter(arriving, choice)
        _acknowledge(appends, None)
        if self._take is not None and (choice.entries or not self._is_handing_out):
            self._take.batch.set_result(choice.entries)
            self._take = None

    def _apply(self, order: _Delete | _Quarantine) -> None:
        match order:
            case _Delete():
                self._file.delete(order.first_id, order.last_id)
            case _Quarantine():
                self._file.quarantine(order.id, order.reason)

    def _enter(self, arriving: Sequence[Entry], choice: Choice) -> None:
        for order in self._owed:
            match order:
                case _Delete():
                    self._ledger.stored(order.span_count)
                case _Quarantine():
                    self._ledger.quarantined(order.span_count)
        self._owed.clear()
        for row in choice.damaged:
            self._ledger.quarantined(row.span_count)
        self._ledger.kept(sum(entry.envelope.span_count for entry in arriving))

    def _refuse(self, appends: Sequence[_Append], error: sqlite3.Error) -> None:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            reason = f"the inbox is full: it may hold {self._max_bytes} bytes, and the store has not taken them yet"
        else:
            reason = f"the inbox could not be written: {error}"
            logger.error("%s", reason)
            self._reopen()
        _acknowledge(appends, InboxFull(reason))

    def _write_without_appends(self) -> None:
        try:
            self._write([])
            self.trouble = None
        except sqlite3.Error as error:
            self.trouble = f"the inbox cannot give up what the store has taken: {error}"
            logger.error("%s", self.trouble)

    def _reopen(self) -> None:
        """After a failed sync SQLite would go on as if nothing had happened, so the next ack needs a new connection."""
        handed_out, last_id = self._backlog.handed_out, self._backlog.last_id
        self._file.close()
        self._file = InboxFile(self._path, max_bytes=self._max_bytes)
        with self._file.transaction():
            self._file.delete_after(last_id)
        self._backlog = Backlog(self._file, max_held_bytes=self._held_bytes, handed_out=handed_out)

    def _rest(self) -> None:
        """Nothing to do: keep the WAL short, because one flipped bit in it hides all later commits."""
        try:
            self._file.checkpoint()
        except sqlite3.Error as error:
            logger.warning("the inbox could not be checkpointed: %s", error)
        self._is_rested = True


def _answer(ask: _Ask, file: InboxFile) -> None:
    try:
        ask.answer.set_result(ask.question(file))
    except sqlite3.Error as error:
        ask.answer.set_exception(error)


def _acknowledge(appends: Sequence[_Append], error: Exception | None) -> None:
    for loop in {append.loop for append in appends}:
        loop.call_soon_threadsafe(_wake, [append.synced for append in appends if append.loop is loop], error)


def _wake(waiting: Sequence[asyncio.Future[None]], error: Exception | None) -> None:
    for synced in waiting:
        if synced.done():  # its client has gone
            continue
        if error is None:
            synced.set_result(None)
        else:
            synced.set_exception(error)


@contextmanager
def open_inbox(path: Path, *, max_bytes: int, ledger: Ledger, held_bytes: int = HELD_BYTES) -> Iterator[Inbox]:
    inbox = Inbox(path, max_bytes=max_bytes, ledger=ledger, held_bytes=held_bytes)
    inbox.open()
    try:
        yield inbox
    finally:
        inbox.close()
