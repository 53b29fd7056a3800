"""What a backup holds: the inbox as it is now, then the store, so that whatever was acknowledged is in one of them.

inbox, store → **contents** → archive

A request that is in both is written again when the copy is served, which changes nothing: it is read once.
"""

import sqlite3
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from backtrail_ingest import Inbox
from backtrail_server.backup.archive import FORMAT, Header, Member, archive
from backtrail_store import NoRoom, Store, StoreUnavailable, schema_files

INBOX, STORE = "inbox.sqlite", "clickhouse"
LOCK_SECONDS = 5

# A backup holds on to files, and an erasure answers only when there are none left: one waits for the other.
no_erasure = threading.Lock()


def write_backup(store: Store, inbox: Inbox, folder: Path) -> Generator[bytes, None, None]:
    """Raises NotEmbedded or StoreUnavailable with its first piece. Nothing is erased until it is closed."""
    with alone(), copied_inbox(inbox, folder) as copy, store.frozen() as files:
        header = Header(
            format=FORMAT,
            backtrail_version=version("backtrail-server"),
            created_time=datetime.now(UTC).isoformat(),
            schema_files=schema_files(),
        )
        members = [Member(copy, INBOX), *(Member(file.path, f"{STORE}/{file.name}") for file in files)]
        yield from archive(header, members)


@contextmanager
def alone() -> Iterator[None]:
    """Nobody waits for long: each who does has one of the threads that answer all others."""
    if not no_erasure.acquire(timeout=LOCK_SECONDS):
        raise StoreUnavailable("another backup is being written, or something is being erased: begin when it is done")
    try:
        yield
    finally:
        no_erasure.release()


@contextmanager
def copied_inbox(inbox: Inbox, folder: Path) -> Iterator[Path]:
    """In the folder for temporary files, which is emptied at each start."""
    copy = folder / "tmp" / f"inbox-{uuid4().hex}.sqlite"
    copy.parent.mkdir(exist_ok=True)
    try:
        try:
            inbox.ask(lambda file: file.copy_to(copy))
        except sqlite3.OperationalError as error:
            raise NoRoom(f"the inbox could not be copied to {copy.parent} for the backup: {error}") from error
        yield copy
    finally:
        copy.unlink(missing_ok=True)
