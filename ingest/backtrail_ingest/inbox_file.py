"""The inbox on disk: one SQLite file, one connection, used by one thread.

    admission → inbox → **inbox_file** → ack

One connection appends, takes, deletes and checkpoints: before 3.51.3 SQLite can damage a WAL database when two
connections write and checkpoint at the same moment. Every function here runs inside the caller's transaction.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from backtrail_ingest.envelope import Envelope
from backtrail_ingest.errors import InboxUnusable
from backtrail_ingest.signals import SIGNALS, TRACES, Signal

SCHEMA_VERSION = 2
PAGE_BYTES = 65536
CHECKPOINT_PAGES = 512  # 32 MiB of WAL: short enough to lose little to a flipped bit, long enough to merge writes

SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (
    id INTEGER PRIMARY KEY, project TEXT NOT NULL, received_unix_nano INTEGER NOT NULL, item_count INTEGER NOT NULL,
    sha256 BLOB NOT NULL, size INTEGER NOT NULL, packed BLOB NOT NULL, signal TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS in_flight (first_id INTEGER NOT NULL, last_id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY, project TEXT NOT NULL, received_unix_nano INTEGER NOT NULL, item_count INTEGER NOT NULL,
    sha256 BLOB NOT NULL, size INTEGER NOT NULL, packed BLOB NOT NULL,
    quarantined_unix_nano INTEGER NOT NULL, reason TEXT NOT NULL, signal TEXT NOT NULL);
"""
FROM_VERSION_1 = """
ALTER TABLE inbox RENAME COLUMN span_count TO item_count;
ALTER TABLE inbox ADD COLUMN signal TEXT NOT NULL DEFAULT 'traces';
ALTER TABLE quarantine RENAME COLUMN span_count TO item_count;
ALTER TABLE quarantine ADD COLUMN signal TEXT NOT NULL DEFAULT 'traces';
"""
READ = """
SELECT id, project, received_unix_nano, item_count, sha256, size, packed, signal
FROM inbox WHERE id BETWEEN ? AND ? ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """An envelope and its place in the order received."""

    id: int
    envelope: Envelope

    @property
    def size(self) -> int:
        return len(self.envelope.request)

    def without_packed(self) -> "Entry":
        """What the writer needs of it once it is on disk."""
        return Entry(self.id, replace(self.envelope, packed=b""))


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxCounts:
    waiting_requests: int
    waiting: Counter[Signal]
    quarantined_requests: int
    quarantined: Counter[Signal]


@dataclass(frozen=True, slots=True)
class Damaged:
    """A row whose request no longer is what was received."""

    id: int
    signal: Signal
    item_count: int


def items_of(rows: Iterable[Entry | Damaged]) -> Counter[Signal]:
    """How many spans and how many log records."""
    items: Counter[Signal] = Counter()
    for row in rows:
        of = row.envelope if isinstance(row, Entry) else row
        items[of.signal] += of.item_count
    return items


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A request that the store refused for good, without its bytes."""

    id: int
    project: str
    received_unix_nano: int
    quarantined_unix_nano: int
    signal: str
    item_count: int
    size: int
    reason: str


class InboxFile:
    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        try:
            self._prepare(path, max_bytes)
        except BaseException:
            self.close()
            raise

    def _prepare(self, path: Path, max_bytes: int) -> None:
        execute = self._connection.execute
        execute(f"PRAGMA page_size={PAGE_BYTES}")  # only before the file becomes a WAL database
        execute("PRAGMA journal_mode=wal")
        execute("PRAGMA synchronous=FULL")
        execute(f"PRAGMA max_page_count={max(max_bytes // PAGE_BYTES, 16)}")
        execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        version = self.pragma("user_version")
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise InboxUnusable(
                f"the inbox {path} has version {version}, this Backtrail knows {SCHEMA_VERSION}: start the newer one"
            )
        if version == 1:
            self._connection.executescript(f"BEGIN; {FROM_VERSION_1} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        self._connection.executescript(SCHEMA)
        execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    @classmethod
    def open_or_replace(cls, path: Path, *, max_bytes: int) -> tuple[Self, Path | None]:
        """The inbox, and where its predecessor was put if that could not be read: damage never stops a start."""
        try:
            return cls(path, max_bytes=max_bytes), None
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise InboxUnusable(f"the inbox {path} cannot be opened: {error}") from error
            aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
            for suffix in ("", "-wal"):
                part = path.with_name(path.name + suffix)
                if part.exists():
                    part.rename(aside.with_name(aside.name + suffix))
            path.with_name(path.name + "-shm").unlink(missing_ok=True)
            return cls(path, max_bytes=max_bytes), aside

    def pragma(self, name: str) -> object:
        row = self._connection.execute(f"PRAGMA {name}").fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Synced to disk when it is left."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def last_id(self) -> int:
        """The newest id ever given, as far as the file remembers: ids are not used again while they are spoken of."""
        row = self._connection.execute(
            "SELECT max(id) FROM (SELECT 0 AS id UNION ALL SELECT max(id) FROM inbox"
            " UNION ALL SELECT max(id) FROM quarantine UNION ALL SELECT max(last_id) FROM in_flight)"
        ).fetchone()
        return int(row[0])

    def first_id(self, *, after: int) -> int | None:
        row = self._connection.execute("SELECT min(id) FROM inbox WHERE id > ?", (after,)).fetchone()
        return None if row[0] is None else int(row[0])

    def delete_after(self, id_: int) -> None:
        self._connection.execute("DELETE FROM inbox WHERE id > ?", (id_,))

    def append(self, entry: Entry) -> None:
        envelope = entry.envelope
        self._connection.execute(
            "INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.id,
                envelope.project,
                envelope.received_unix_nano,
                envelope.item_count,
                envelope.digest,
                entry.size,
                envelope.packed,
                envelope.signal.name,
            ),
        )

    def read(self, first_id: int, last_id: int, *, max_bytes: int | None) -> Iterator[Entry | Damaged]:
        """Rows in the order received, at least one, as long as they stay within `max_bytes`."""
        total = 0
        with closing(self._connection.execute(READ, (first_id, last_id))) as rows:
            for id_, project, received_unix_nano, item_count, digest, size, packed, signal in rows:
                total += size
                if max_bytes is not None and total > max_bytes and total > size:
                    return
                known = SIGNALS.get(signal, TRACES)
                envelope = Envelope.unpacked(
                    project=project,
                    signal=known,
                    received_unix_nano=received_unix_nano,
                    item_count=item_count,
                    digest=digest,
                    size=size,
                    packed=packed,
                )
                if envelope is None or signal not in SIGNALS:
                    yield Damaged(id_, known, item_count)
                else:
                    yield Entry(id_, envelope)

    def delete(self, first_id: int, last_id: int) -> None:
        self._connection.execute("DELETE FROM inbox WHERE id BETWEEN ? AND ?", (first_id, last_id))

    def quarantine(self, id_: int, reason: str) -> None:
        row = self._connection.execute("SELECT * FROM inbox WHERE id = ?", (id_,)).fetchone()
        # The row is deleted first so that a full inbox has the pages to keep it.
        self.delete(id_, id_)
        if row is not None:
            self._connection.execute(
                "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row[:-1], time.time_ns(), reason, row[-1]),
            )

    def set_in_flight(self, first_id: int, last_id: int) -> None:
        """The batch being inserted: after a restart the same requests make the same bytes and the same token."""
        self._connection.execute("DELETE FROM in_flight")
        self._connection.execute("INSERT INTO in_flight VALUES (?, ?)", (first_id, last_id))

    def in_flight(self) -> tuple[int, int] | None:
        row = self._connection.execute("SELECT first_id, last_id FROM in_flight").fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def counts(self) -> InboxCounts:
        waiting_requests, waiting = self._count("inbox")
        quarantined_requests, quarantined = self._count("quarantine")
        return InboxCounts(
            waiting_requests=waiting_requests,
            waiting=waiting,
            quarantined_requests=quarantined_requests,
            quarantined=quarantined,
        )

    def _count(self, table: str) -> tuple[int, Counter[Signal]]:
        requests = 0
        items: Counter[Signal] = Counter()
        rows = self._connection.execute(f"SELECT signal, count(*), sum(item_count) FROM {table} GROUP BY signal")
        for signal, count, total in rows:
            requests += count
            items[SIGNALS.get(signal, TRACES)] += total
        return requests, items

    def used_bytes(self) -> int:
        """What counts against the quota: pages that hold something."""
        return (int(str(self.pragma("page_count"))) - int(str(self.pragma("freelist_count")))) * PAGE_BYTES

    def oldest_received_unix_nano(self) -> int | None:
        """When the request arrived that waits longest, None if none waits."""
        row = self._connection.execute("SELECT received_unix_nano FROM inbox ORDER BY id LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    def quarantine_reasons(self) -> list[str]:
        return [row[0] for row in self._connection.execute("SELECT reason FROM quarantine ORDER BY id DESC LIMIT 10")]

    def quarantined(self) -> list[Quarantined]:
        columns = ", ".join(Quarantined.__dataclass_fields__)
        return [Quarantined(*row) for row in self._connection.execute(f"SELECT {columns} FROM quarantine ORDER BY id")]

    def checkpoint(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
