"""What it takes until a trace is really gone: out of the inbox, out of quarantine, out of the store, out of all files.

    admin.erasure → **erasing** → inbox, store

First what waits is stored, so that it can be found. Then the traces are buried: from here on none of their spans is
stored, however late it comes. An insert may be under way that does not know it yet, so what waits is stored once more.
A mark in the data folder says that this has begun. A server that finds one when it starts does the rest.
"""

import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backtrail_ingest import Inbox, Ledger
from backtrail_ingest.inbox.erasure import find_traces_of_user, has_trace, remove_traces, wipe
from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_server.backup.contents import INBOX, LOCK_SECONDS, no_erasure
from backtrail_server.waiting import is_waiting, wait_while
from backtrail_store import Erased, NoRoom, Store, StoreError, StoreUnavailable

logger = logging.getLogger(__name__)

MARK = "erasing"
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

    def erase_run(self, run_id: str) -> Erasure | None:
        """None if nobody ever heard of it. Raises NoRoom or StoreUnavailable."""
        self._wait_until_stored()
        is_known = self.store.is_known(self.project, run_id) or self.inbox.ask(
            lambda file: has_trace(file, self.project, run_id)
        )
        return self.erase([run_id]) if is_known else None

    def erase_user(self, user_id: str) -> Erasure:
        """Every run of which any span names this user."""
        self._wait_until_stored()
        waiting = self.inbox.ask(lambda file: find_traces_of_user(file, self.project, user_id))
        stored = self.store.find_traces_of_user(self.project, user_id)
        return self.erase(sorted(waiting.union(stored)))

    def erase(self, run_ids: Sequence[str]) -> Erasure:
        if not no_erasure.acquire(timeout=LOCK_SECONDS):
            raise StoreUnavailable(
                "a backup is being written, which holds on to the files, or something else erased: "
                "erase when it is done"
            )
        try:
            with marked(self, run_ids):
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
        wait_while(
            lambda: is_waiting(self.inbox, until),
            in_vain="what waits in the inbox is not stored yet, so nothing is erased: try again",
        )

    def _wipe(self) -> None:
        try:
            self.inbox.ask(wipe)
        except sqlite3.OperationalError as error:
            raise NoRoom(f"the inbox cannot be written anew, without what was deleted: {error}") from error

    def _unread(self) -> list[str]:
        aside = [str(path) for path in sorted(self.folder.glob(f"{INBOX}.damaged-*"))]
        return aside + [str(part) for part in self.store.health().broken_parts if part.table in TABLES]


@contextmanager
def marked(eraser: Eraser, run_ids: Sequence[str]) -> Iterator[None]:
    """The mark stands whole or not at all, and goes only when all went well."""
    mark, unnamed = eraser.folder / MARK, eraser.folder / f"{MARK}.new"
    try:
        with unnamed.open("w") as file:
            json.dump({"project": eraser.project, "run_ids": list(run_ids)}, file)
            file.flush()
            os.fsync(file.fileno())
        unnamed.rename(mark)
    except OSError as error:
        raise NoRoom(f"{mark} cannot be written, so nothing is erased: {error.strerror}") from error
    yield
    mark.unlink(missing_ok=True)


def finish_in_background(*, store: Store, inbox: Inbox, ledger: Ledger, folder: Path) -> None:
    """What a server had begun to erase when it ended. Nobody waits for this one, and its end is not waited for."""

    def finish(project: str, run_ids: Sequence[str]) -> None:
        try:
            Eraser(store=store, inbox=inbox, ledger=ledger, folder=folder, project=project).erase(run_ids)
        except StoreError as error:
            logger.warning("an erasure that was interrupted could not be finished, erase again: %s", error)
        else:
            logger.info("an erasure that was interrupted is finished")

    if (mark := folder / MARK).exists():
        threading.Thread(target=finish, kwargs=json.loads(mark.read_text()), name="erasing", daemon=True).start()
