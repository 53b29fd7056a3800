"""The thread that owns the inbox's file: it commits in groups, and comes back after every fault.

    admission, writer → inbox → **inbox_keeper** → inbox_file
                                    ├── inbox_room                     who may add how much
                                    ├── fair_order, backlog            in which order it is written
                                    └── inbox_repair                   when the file is no longer good

Whatever arrived while it was syncing (appends, deletions, the writer's wish for a batch) goes into its next
transaction together, so latency is bounded by one group.
"""

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from backtrail_ingest.envelope import Envelope
from backtrail_ingest.errors import InboxFailing, InboxUnusable, Overloaded
from backtrail_ingest.inbox.backlog import Backlog, Choice
from backtrail_ingest.inbox.fair_order import FairOrder
from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_ingest.inbox.inbox_orders import (
    Append,
    Ask,
    Close,
    Delete,
    Order,
    Quarantine,
    Release,
    StopTaking,
    Take,
    acknowledge,
    answer,
    turn_away,
)
from backtrail_ingest.inbox.inbox_repair import finish_repair, is_damage, repair
from backtrail_ingest.inbox.inbox_room import InboxRoom
from backtrail_ingest.inbox.inbox_rows import Damaged, Entry, items_of, sizes_of
from backtrail_ingest.inbox.taken import TakenRequests
from backtrail_ingest.ledger import Ledger
from backtrail_ingest.signals import Signal

logger = logging.getLogger(__name__)

IDLE_SECONDS = 0.5
DAMAGED = "damaged on disk: the request no longer has the digest it came with"


class InboxKeeper:
    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        held_bytes: int,
        disk_reserve: int,
        release_reserve: Callable[[], None],
        ledger: Ledger,
    ) -> None:
        self.orders: SimpleQueue[Order] = SimpleQueue()
        self.taken = TakenRequests()
        self.room = InboxRoom(path.parent, max_bytes=max_bytes, disk_reserve=disk_reserve)
        self._path = path
        self._max_bytes = max_bytes
        self._held_bytes = held_bytes
        self._release_reserve = release_reserve
        self._ledger = ledger
        self._owed: list[Delete | Quarantine] = []
        self._doubtful: list[int] = []  # refused, and yet perhaps on disk
        self._take: Take | None = None
        self._is_handing_out = True
        self._is_closing = False
        self._is_rested = False
        self._damage = ""
        self._failure = ""

    @property
    def trouble(self) -> str | None:
        return "; ".join(filter(None, (self._damage, self.room.shortage, self._failure))) or None

    def run(self, opened: Future[None]) -> None:
        try:
            self._start()
        except BaseException as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        while not self._is_closing:
            orders = self._next_orders()
            try:
                self._serve(orders)
            except Exception as error:  # a fault of ours: nobody is to wait for ever
                logger.exception("the inbox failed")
                turn_away(orders, InboxFailing(f"the inbox failed: {error}"))
        self._rest()
        self._file.close()
        self._turn_away_the_last()

    # --- the file: opened, opened again, repaired ------------------------------------------------------

    def _start(self) -> None:
        finish_repair(self._path)
        self._open_or_repair(handed_out=0)
        self._ledger.found(waiting=self._counts.waiting, quarantined=self._counts.quarantined)
        self.room.look_at_disk()

    def _open_or_repair(self, *, handed_out: int) -> None:
        try:
            try:
                self._open(handed_out)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._repair(error)
                self._open(handed_out)
        except (sqlite3.Error, OSError) as error:
            raise InboxUnusable(f"the inbox {self._path} cannot be opened: {error}") from error

    def _open(self, handed_out: int) -> None:
        file = InboxFile(self._path, max_bytes=self._max_bytes)
        try:
            self._read(file, handed_out)
        except BaseException:
            file.close()
            raise

    def _read(self, file: InboxFile, handed_out: int) -> None:
        """Everything that is kept in memory, from the file as it is now."""
        if self._doubtful:
            with file.transaction():
                file.delete_each(self._doubtful)
            self._doubtful.clear()
        self._look_for_owed(file)
        in_flight = file.in_flight()
        reached = max(handed_out, in_flight[1] if in_flight else 0)
        self._order = FairOrder(reached=reached, last_ids=file.last_ids())
        self._backlog = Backlog(file, max_held_bytes=self._held_bytes, handed_out=handed_out)
        self.room.read(file)
        self._counts = file.counts()
        self._file = file

    def _look_for_owed(self, file: InboxFile) -> None:
        """A write that failed may be on disk all the same: then this is in the books before they are compared."""
        for place, order in enumerate(self._owed):
            items, sizes = file.totals(order.first_id, order.last_id)
            self._book(order, order.items - items)
            self._owed[place] = replace(order, items=items, sizes=sizes)

    def _repair(self, error: Exception) -> None:
        aside = repair(self._path, max_bytes=self._max_bytes)
        self._damage = f"the inbox was damaged ({error}) and was put aside as {aside}; what could be read of it goes on"
        logger.error("%s", self._damage)

    def _reopen(self, error: Exception) -> None:
        """After a failed sync SQLite would go on as if nothing had happened: the next ack needs a new connection."""
        self._file.close()
        self.taken.forget()
        try:
            if is_damage(error):
                self._repair(error)
            self._open_or_repair(handed_out=self._backlog.handed_out)
            self._ledger.recounted(waiting=self._counts.waiting, quarantined=self._counts.quarantined)
        except Exception as again:  # the next write fails as well, and comes here again
            logger.debug("the inbox could not be opened again: %s", again)

    # --- one group of orders ---------------------------------------------------------------------------

    def _next_orders(self) -> list[Order]:
        is_at_rest = self._is_rested and not (self._owed or self._failure or self.room.is_short_of_disk)
        orders: list[Order] = []
        try:
            orders.append(self.orders.get(timeout=None if is_at_rest else IDLE_SECONDS))
            while True:
                orders.append(self.orders.get_nowait())
        except Empty:
            return orders

    def _serve(self, orders: Sequence[Order]) -> None:
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
        self.room.look_at_disk()
        if not (orders or self._owed or self._failure):
            self._rest()
            return
        appends = [order for order in orders if isinstance(order, Append)]
        if self._owed and any(self.room.refusal_by_quota(append.envelope.project, append.size) for append in appends):
            self._write_what_is_owed()  # makes room
        appends = self._with_room(appends)
        arriving = [self._placed(append.envelope) for append in appends]
        releases = [order for order in orders if isinstance(order, Release)]
        try:
            self._write(arriving, releases)
        except Exception as error:
            refusal = self._recover(error, arriving)
            acknowledge(appends, refusal)
            for release in releases:
                release.done.set_exception(refusal)
            self._write_what_is_owed()
        else:
            acknowledge(appends)
        for order in orders:
            if isinstance(order, Ask):
                answer(order, self._put)

    def _put(self, question: Callable[[InboxFile], object]) -> object:
        """To the file; and one that takes something out of it makes room."""
        changes = self._file.changes
        try:
            return question(self._file)
        finally:
            if self._file.changes != changes:
                self.room.read(self._file)

    def _with_room(self, appends: Sequence[Append]) -> list[Append]:
        """Those that may be added; the others are refused."""
        admitted: list[Append] = []
        sizes: Counter[str] = Counter()
        for append in appends:
            project = append.envelope.project
            refusal = self.room.refusal(project, sizes[project] + append.size)
            if refusal is None:
                sizes[project] += append.size
                admitted.append(append)
            else:
                acknowledge([append], refusal)
        return admitted

    def _placed(self, envelope: Envelope) -> Entry:
        return Entry(self._order.place(envelope.project, len(envelope.request)), envelope)

    def _write(self, arriving: Sequence[Entry], releases: Sequence[Release]) -> None:
        """One transaction: what is owed, what came in, and the boundaries of the batch that goes out."""
        choice = Choice()
        with self._file.transaction():
            for order in self._owed:
                self._apply(order)
            for entry in arriving:
                self._file.append(entry)
            released = [self._release(release) for release in releases]
            waiting = [*arriving, *(outcome.returned for outcome in released if outcome.returned is not None)]
            if self._take is not None and self._is_handing_out:
                choice = self._backlog.choose(waiting, max_bytes=self._take.max_bytes)
            for row in choice.damaged:
                self._file.quarantine(row.id, DAMAGED)
            if choice.entries:
                self._file.set_in_flight(choice.entries[0].id, choice.entries[-1].id)
            if self._failure:
                self._file.write_something()
        self._failure = ""
        self._is_rested = False
        self._backlog.settle(waiting, choice)
        self._order.reach(choice.last_id)
        self._enter(arriving, released, choice)
        self.room.measure(self._file)
        if self._take is not None and (choice.entries or not self._is_handing_out):
            self._take.batch.set_result(choice.entries)
            self._take = None

    def _apply(self, order: Delete | Quarantine) -> None:
        match order:
            case Delete():
                self._file.delete(order.first_id, order.last_id)
            case Quarantine():
                self._file.quarantine(order.id, order.reason)

    def _release(self, release: Release) -> "Released":
        row = self._file.read_quarantined(release.quarantine_id)
        if row is None or (isinstance(row, Damaged) and not release.is_dropped):
            return Released(release)
        self._file.drop_quarantined(release.quarantine_id)
        if isinstance(row, Damaged) or release.is_dropped:
            return Released(release, dropped=row)
        returned = self._placed(row.envelope)
        self._file.append(returned)
        return Released(release, returned=returned)

    def _enter(self, arriving: Sequence[Entry], released: Sequence["Released"], choice: Choice) -> None:
        """The transaction is on disk: so it is in the books."""
        for order in self._owed:
            if isinstance(order, Delete):
                self.room.shares.remove_all(order.sizes)
            self._book(order, order.items)
        self._owed.clear()
        self._ledger.quarantined(items_of(choice.damaged))
        if choice.damaged:
            self.taken.forget()
        self._ledger.kept(items_of(arriving))
        for entry in arriving:
            self.taken.add(entry.envelope)
        self.room.shares.add_all(sizes_of(arriving))
        for outcome in released:
            if outcome.returned is not None:
                self._ledger.retried(items_of([outcome.returned]))
            if outcome.dropped is not None:
                self._ledger.dropped(items_of([outcome.dropped]))
                self.room.shares.remove_all(sizes_of([outcome.dropped]))
                self.taken.forget()
            outcome.release.done.set_result(outcome.is_done)

    def _book(self, order: Delete | Quarantine, items: Counter[Signal]) -> None:
        match order:
            case Delete():
                self._ledger.stored(items)
            case Quarantine():
                self._ledger.quarantined(items)

    # --- faults ------------------------------------------------------------------------------------------

    def _recover(self, error: Exception, arriving: Sequence[Entry]) -> Overloaded:
        """Makes the next write possible, and says what to answer to those whose write this was."""
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
            self._fail(error)
            self._doubtful += [entry.id for entry in arriving]
            self._reopen(error)
            return InboxFailing(self._failure)
        if self._file.is_at_quota():
            return self.room.quota_used_up()
        self._release_reserve()
        full = self.room.disk_full()
        self._fail(full)
        return full

    def _write_what_is_owed(self) -> None:
        """And, after a fault, a little something: so it is known when the disk is good again."""
        try:
            self._write([], [])
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        failure = f"the inbox could not be written: {error}"
        if failure != self._failure:  # it is tried again twice a second
            logger.error("%s", failure)
        self._failure = failure

    # --- nothing to do, and the end ----------------------------------------------------------------------

    def _rest(self) -> None:
        """Keep the WAL short, because one flipped bit in it hides all later commits."""
        try:
            self._file.checkpoint()
        except sqlite3.Error as error:
            logger.warning("the inbox could not be checkpointed: %s", error)
        self._is_rested = True

    def _turn_away_the_last(self) -> None:
        """Whoever came after the order to close."""
        orders: list[Order] = []
        while not self.orders.empty():
            orders.append(self.orders.get())
        turn_away(orders, InboxFailing("the server is ending"))
        for order in orders:
            if isinstance(order, Take):
                order.batch.set_result([])


@dataclass(frozen=True, slots=True)
class Released:
    """What became of a request in quarantine; nothing, if it is not there or is to be written and damaged."""

    release: Release
    returned: Entry | None = None
    dropped: Entry | Damaged | None = None

    @property
    def is_done(self) -> bool:
        return self.returned is not None or self.dropped is not None
