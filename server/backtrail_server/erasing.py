"""What it takes until a trace is really gone: out of the inbox, out of quarantine, out of the store, out of all files.

    admin.erasure → **erasing** → inbox, store

First what waits is stored, so that it can be found. Then the traces are buried: from here on none of their spans is
stored, however late it comes. An insert may be under way that does not know it yet, so what waits is stored once more.
"""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from backtrail_ingest import Inbox, Ledger
from backtrail_ingest.erasure import find_traces_of_user, has_trace, remove_traces, wipe
from backtrail_ingest.inbox_file import InboxFile
from backtrail_server.backup.contents import INBOX, no_erasure
from backtrail_store import Erased, NoRoom, Store, StoreUnavailable

WAIT_SECONDS = 60
LOCK_SECONDS = 5
TABLES = frozenset({"spans", "contents", "logs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """`unread` names what nobody can look into, though it may hold something of the traces."""

    run_ids: Sequence[str]
    erased: Erased
    quarantined: int
    replays: Sequence[str]
    unread: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eraser:
    store: Store
    inbox: Inbox
    ledger: Ledger
    folder: Path
    project: str
    _first_pause: float = field(default=0.02, init=False)

    def erase_run(self, run_id: str) -> Erasure | None:
        """None if nobody ever heard of it. Raises NoRoom or StoreUnavailable."""
        self._wait_until_stored()
        is_known = self.store.is_known(self.project, run_id) or self.inbox.ask(
            lambda file: has_trace(file, self.project, run_id)
        )
        return self._erase([run_id]) if is_known else None

    def erase_user(self, user_id: str) -> Erasure:
        """Every run of which any span names this user."""
        self._wait_until_stored()
        waiting = self.inbox.ask(lambda file: find_traces_of_user(file, self.project, user_id))
        stored = self.store.find_traces_of_user(self.project, user_id)
        return self._erase(sorted(waiting.union(stored)))

    def _erase(self, run_ids: Sequence[str]) -> Erasure:
        if not no_erasure.acquire(timeout=LOCK_SECONDS):
            raise StoreUnavailable("a backup is being written, which holds on to the files: erase when it is done")
        try:
            self.store.bury(self.project, run_ids)
            self._wait_until_stored()
            erased = self.store.erase_buried(self.project)
            removed = self.inbox.ask(lambda file: remove_traces(file, self.project, set(run_ids)))
            self.ledger.dropped(removed.items)
            self._wipe()
        finally:
            no_erasure.release()
        return Erasure(
            run_ids=run_ids,
            erased=erased,
            quarantined=removed.items.total(),
            replays=self.store.find_replays(self.project, run_ids),
            unread=[*(f"request {id_} in quarantine" for id_ in removed.unread), *self._unread()],
        )

    def _wait_until_stored(self) -> None:
        """Whatever was acknowledged before this was called."""
        until = max(time.time_ns(), self.inbox.ask(InboxFile.newest_received_unix_nano))
        is_waiting = partial(InboxFile.holds_received_until, received_unix_nano=until)
        deadline, pause = time.monotonic() + WAIT_SECONDS, self._first_pause
        while self.inbox.ask(is_waiting):
            if time.monotonic() > deadline:
                raise StoreUnavailable("what waits in the inbox is not stored yet, so nothing is erased: try again")
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _wipe(self) -> None:
        try:
            self.inbox.ask(wipe)
        except sqlite3.OperationalError as error:
            raise NoRoom(f"the inbox cannot be written anew, without what was deleted: {error}") from error

    def _unread(self) -> list[str]:
        aside = [str(path) for path in sorted(self.folder.glob(f"{INBOX}.damaged-*"))]
        return aside + [str(part) for part in self.store.health().broken_parts if part.table in TABLES]
