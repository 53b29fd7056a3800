"""Keeps every accepted request on disk until the store has it; the acknowledgement waits for its sync.

    receiver → admission → **inbox** → ack
                              └──────→ writer → store

One thread owns the file. Whatever arrived while it was syncing (appends, deletions, the writer's wish for a
batch) goes into its next transaction together, so latency is bounded by one group.
"""

import asyncio
import logging
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

from backtrail_ingest.backlog import Backlog, Choice
from backtrail_ingest.envelope import Envelope
from backtrail_ingest.errors import InboxFull
from backtrail_ingest.inbox_file import Entry, InboxFile, items_of
from backtrail_ingest.inbox_orders import (
    Append,
    Ask,
    Close,
    Delete,
    Order,
    Quarantine,
    StopTaking,
    Take,
    acknowledge,
    answer,
)
from backtrail_ingest.ledger import Ledger

logger = logging.getLogger(__name__)

T = TypeVar("T")

HELD_BYTES = 256 << 20
IDLE_SECONDS = 0.5


class Inbox:
    def __init__(self, path: Path, *, max_bytes: int, ledger: Ledger, held_bytes: int, disk_reserve: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._held_bytes = held_bytes
        self._disk_reserve = disk_reserve
        self._ledger = ledger
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._owed: list[Delete | Quarantine] = []
        self._take: Take | None = None
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
        self._orders.put(Close())
        self._thread.join()

    async def append(self, envelope: Envelope) -> None:
        """Returns when the envelope is synced to disk."""
        loop = asyncio.get_running_loop()
        synced = loop.create_future()
        self._orders.put(Append(envelope, loop, synced))
        await synced

    def take(self, max_bytes: int) -> Future[list[Entry]]:
        """The oldest entries: at least one, up to `max_bytes`, each handed out once; none after `stop_taking`."""
        take = Take(max_bytes, Future())
        self._orders.put(take)
        return take.batch

    def stop_taking(self) -> None:
        """Answers the take that waits, and all later ones, with nothing: the writer is to end."""
        self._orders.put(StopTaking())

    def delete(self, entries: Sequence[Entry]) -> None:
        """The store has these consecutive entries on its disk."""
        self._orders.put(Delete(entries[0].id, entries[-1].id, items_of(entries)))

    def quarantine(self, entry: Entry, reason: str) -> None:
        """The store will never take this one: it stays on our disk, out of the way, with the reason."""
        self._orders.put(Quarantine(entry.id, items_of([entry]), reason))

    def ask(self, question: Callable[[InboxFile], T]) -> T:
        """What the file says, asked on its own connection."""
        answer: Future[Any] = Future()
        self._orders.put(Ask(question, answer))
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
        self._ledger.found(waiting=counts.waiting, quarantined=counts.quarantined)

    def _next_orders(self) -> list[Order]:
        orders: list[Order] = []
        try:
            orders.append(self._orders.get(timeout=None if self._is_rested and not self._owed else IDLE_SECONDS))
            while True:
                orders.append(self._orders.get_nowait())
        except Empty:
            return orders

    def _commit(self, orders: list[Order]) -> None:
        appends = [order for order in orders if isinstance(order, Append)]
        for order in orders:
            match order:
                case Delete() | Quarantine():
                    self._owed.append(order)
                case Take():
                    self._take = order
                case StopTaking():
                    self._is_handing_out = False
                case Close():
                    self._is_closing = True
        if not orders and not self._owed:
            self._rest()
            return
        try:
            self._require_free_disk(appends)
            self._write(appends)
        except Exception as error:
            self._refuse(appends, error)
            self._write_without_appends()
        for order in orders:
            if isinstance(order, Ask):
                answer(order, self._file)

    def _write(self, appends: Sequence[Append]) -> None:
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
        acknowledge(appends, None)
        if self._take is not None and (choice.entries or not self._is_handing_out):
            self._take.batch.set_result(choice.entries)
            self._take = None

    def _apply(self, order: Delete | Quarantine) -> None:
        match order:
            case Delete():
                self._file.delete(order.first_id, order.last_id)
            case Quarantine():
                self._file.quarantine(order.id, order.reason)

    def _enter(self, arriving: Sequence[Entry], choice: Choice) -> None:
        for order in self._owed:
            match order:
                case Delete():
                    self._ledger.stored(order.items)
                case Quarantine():
                    self._ledger.quarantined(order.items)
        self._owed.clear()
        self._ledger.quarantined(items_of(choice.damaged))
        self._ledger.kept(items_of(arriving))

    def _require_free_disk(self, appends: Sequence[Append]) -> None:
        """Deleting takes room too: a disk that is quite full could not even be emptied."""
        free = shutil.disk_usage(self._path.parent).free if appends else self._disk_reserve
        if free < self._disk_reserve:
            raise InboxFull(f"the disk has {free} bytes left, and {self._disk_reserve} are kept in reserve")

    def _refuse(self, appends: Sequence[Append], error: Exception) -> None:
        if isinstance(error, InboxFull):
            acknowledge(appends, error)
        elif getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            held = f"it may hold {self._max_bytes} bytes, and the store has not taken them yet"
            acknowledge(appends, InboxFull(f"the inbox is full: {held}"))
        else:
            logger.error("the inbox could not be written: %s", error)
            acknowledge(appends, InboxFull(f"the inbox could not be written: {error}"))
            self._reopen()

    def _write_without_appends(self) -> None:
        try:
            self._write([])
            self.trouble = None
        except Exception as error:
            self.trouble = f"the inbox cannot give up what the store has taken: {error}"
            logger.error("%s", self.trouble)

    def _reopen(self) -> None:
        """After a failed sync SQLite would go on as if nothing had happened, so the next ack needs a new connection."""
        handed_out, last_id = self._backlog.handed_out, self._backlog.last_id
        self._file.close()
        try:
            self._file = InboxFile(self._path, max_bytes=self._max_bytes)
            with self._file.transaction():
                self._file.delete_after(last_id)
            self._backlog = Backlog(self._file, max_held_bytes=self._held_bytes, handed_out=handed_out)
        except sqlite3.Error as error:  # the next write fails as well, and comes here again
            logger.error("the inbox could not be opened again: %s", error)

    def _rest(self) -> None:
        """Nothing to do: keep the WAL short, because one flipped bit in it hides all later commits."""
        try:
            self._file.checkpoint()
        except sqlite3.Error as error:
            logger.warning("the inbox could not be checkpointed: %s", error)
        self._is_rested = True


@contextmanager
def open_inbox(
    path: Path, *, max_bytes: int, ledger: Ledger, held_bytes: int = HELD_BYTES, disk_reserve: int = 0
) -> Iterator[Inbox]:
    """`max_bytes` on disk, `held_bytes` of them in memory too; `disk_reserve` bytes of the disk stay free."""
    inbox = Inbox(path, max_bytes=max_bytes, ledger=ledger, held_bytes=held_bytes, disk_reserve=disk_reserve)
    inbox.open()
    try:
        yield inbox
    finally:
        inbox.close()
