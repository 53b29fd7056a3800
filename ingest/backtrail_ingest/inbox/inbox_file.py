"""The inbox on disk: one SQLite file, one connection, used by one thread.

    admission → inbox → inbox_keeper → **inbox_file** → ack

One connection appends, takes, deletes and checkpoints: before 3.51.3 SQLite can damage a WAL database when two
connections write and checkpoint at the same moment. Every function here runs inside the caller's transaction.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from backtrail_ingest.envelope import Envelope
from backtrail_ingest.errors import InboxUnusable
from backtrail_ingest.inbox.inbox_rows import Damaged, Entry, InboxCounts, Quarantined
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
    id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL,
    received_unix_nano INTEGER NOT NULL, item_count INTEGER NOT NULL, sha256 BLOB NOT NULL,
    size INTEGER NOT NULL, packed BLOB NOT NULL,
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
TOTALS = "SELECT signal, project, item_count, size FROM inbox WHERE id BETWEEN ? AND ?"
READ_QUARANTINED = """
SELECT id, project, received_unix_nano, item_count, sha256, size, packed, signal FROM quarantine WHERE id = ?
"""
TABLES = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('inbox', 'in_flight', 'quarantine')"


class TableMissing(sqlite3.DatabaseError):
    """A kind of damage that SQLite itself does not notice."""


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
        if (mode := self.pragma("journal_mode=wal")) != "wal":  # it says so, and goes on with another
            raise sqlite3.OperationalError(f"journal mode {mode}, not WAL: on a disk that fails, or over a network")
        execute("PRAGMA synchronous=FULL")
        execute(f"PRAGMA max_page_count={max(max_bytes // PAGE_BYTES, 16)}")
        execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        self._connection.text_factory = lambda text: text.decode(errors="replace")  # a flipped bit is no reason to stop
        version = self.pragma("user_version")
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise InboxUnusable(
                f"the inbox {path} has version {version}, this Backtrail knows {SCHEMA_VERSION}: start the newer one"
            )
        if version == 1:
            self._connection.executescript(f"BEGIN; {FROM_VERSION_1} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        elif not version:
            self._connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        elif self._connection.execute(TABLES).fetchone()[0] != 3:
            raise TableMissing(f"the inbox {path} lacks a table")

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
        """The last in the order of writing, 0 if nothing waits."""
        return int(self._connection.execute("SELECT coalesce(max(id), 0) FROM inbox").fetchone()[0])

    def last_ids(self) -> list[tuple[str, int]]:
        """The last entry of each project."""
        return self._connection.execute("SELECT project, max(id) FROM inbox GROUP BY project").fetchall()

    def sizes(self) -> list[tuple[str, int]]:
        """How many bytes wait for each project."""
        return self._connection.execute("SELECT project, sum(size) FROM inbox GROUP BY project").fetchall()

    def quarantined_sizes(self) -> list[tuple[str, int]]:
        return self._connection.execute("SELECT project, sum(size) FROM quarantine GROUP BY project").fetchall()

    @property
    def changes(self) -> int:
        """How many rows were ever written or deleted on this connection."""
        return self._connection.total_changes

    def used_bytes(self) -> int:
        """What counts against the quota: pages that hold something."""
        return (self._number("page_count") - self._number("freelist_count")) * PAGE_BYTES

    def is_at_quota(self) -> bool:
        return self._number("page_count") >= self._number("max_page_count") - 1 and not self._number("freelist_count")

    def _number(self, pragma: str) -> int:
        return int(str(self.pragma(pragma)))

    def first_id(self, *, after: int) -> int | None:
        row = self._connection.execute("SELECT min(id) FROM inbox WHERE id > ?", (after,)).fetchone()
        return None if row[0] is None else int(row[0])

    def delete_each(self, ids: Iterable[int]) -> None:
        self._connection.executemany("DELETE FROM inbox WHERE id = ?", [(id_,) for id_ in ids])

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
        """Rows in the order of writing, at least one, as long as they stay within `max_bytes`."""
        total = 0
        with closing(self._connection.execute(READ, (first_id, last_id))) as rows:
            for row in rows:
                size = row[5]
                total += size
                if max_bytes is not None and total > max_bytes and total > size:
                    return
                yield entry_of(*row)

    def totals(self, first_id: int, last_id: int) -> tuple[Counter[Signal], Counter[str]]:
        """What waits there: how many items of each signal, and how many bytes of each project."""
        items: Counter[Signal] = Counter()
        sizes: Counter[str] = Counter()
        for signal, project, count, size in self._connection.execute(TOTALS, (first_id, last_id)):
            items[SIGNALS.get(signal, TRACES)] += count
            sizes[project] += size
        return items, sizes

    def write_something(self) -> None:
        """A page that says what it said before."""
        self._connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def delete(self, first_id: int, last_id: int) -> None:
        self._connection.execute("DELETE FROM inbox WHERE id BETWEEN ? AND ?", (first_id, last_id))

    def quarantine(self, id_: int, reason: str) -> None:
        row = self._connection.execute("SELECT * FROM inbox WHERE id = ?", (id_,)).fetchone()
        # The row is deleted first so that a full inbox has the pages to keep it.
        self.delete(id_, id_)
        if row is not None:
            self._connection.execute(
                "INSERT INTO quarantine VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row[1:-1], time.time_ns(), reason, row[-1]),
            )

    def set_in_flight(self, first_id: int, last_id: int) -> None:
        """The batch being inserted: after a restart the same requests make the same bytes and the same token."""
        self._connection.execute("DELETE FROM in_flight")
        self._connection.execute("INSERT INTO in_flight VALUES (?, ?)", (first_id, last_id))

    def in_flight(self) -> tuple[int, int] | None:
        row = self._connection.execute("SELECT first_id, last_id FROM in_flight").fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def add_rows(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        """As they lay in another inbox."""
        for row in rows:
            places = ", ".join("?" * len(row))
            self._connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)

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

    def oldest_received_unix_nano(self) -> int | None:
        """When the request arrived that waits longest, None if none waits."""
        row = self._connection.execute("SELECT received_unix_nano FROM inbox ORDER BY id LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    def quarantine_reasons(self) -> list[str]:
        return [row[0] for row in self._connection.execute("SELECT reason FROM quarantine ORDER BY id DESC LIMIT 10")]

    def quarantined(self) -> list[Quarantined]:
        columns = ", ".join(Quarantined.__dataclass_fields__)
        return [Quarantined(*row) for row in self._connection.execute(f"SELECT {columns} FROM quarantine ORDER BY id")]

    def read_quarantined(self, id_: int) -> Entry | Damaged | None:
        row = self._connection.execute(READ_QUARANTINED, (id_,)).fetchone()
        return None if row is None else entry_of(*row)

    def drop_quarantined(self, id_: int) -> None:
        self._connection.execute("DELETE FROM quarantine WHERE id = ?", (id_,))

    def replace_quarantined(self, id_: int, envelope: Envelope) -> None:
        """Part of it was erased, and what the store said of the whole may quote that part."""
        self._connection.execute(
            "UPDATE quarantine SET item_count = ?, sha256 = ?, size = ?, packed = ?, reason = ? WHERE id = ?",
            (
                envelope.item_count,
                envelope.digest,
                len(envelope.request),
                envelope.packed,
                "refused by the store, and part of it was erased since",
                id_,
            ),
        )

    def newest_received_unix_nano(self) -> int:
        """When the last request came in of those that wait, 0 if none does."""
        return int(self._connection.execute("SELECT coalesce(max(received_unix_nano), 0) FROM inbox").fetchone()[0])

    def holds_received_until(self, received_unix_nano: int, project: str | None = None) -> bool:
        """Whether anything (of this project) waits that came in by then. Ids do not tell: they are in the order of
        writing."""
        found = self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM inbox WHERE received_unix_nano <= ? AND project = coalesce(?, project))",
            (received_unix_nano, project),
        )
        return bool(found.fetchone()[0])

    def vacuum(self) -> None:
        """Writes the file anew without the pages that deleted rows had."""
        self._connection.execute("VACUUM")

    def copy_to(self, path: Path) -> None:
        """All of it as it is now, in a file of its own."""
        self._connection.execute("VACUUM INTO ?", (str(path),))

    def checkpoint(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def entry_of(
    id_: int,
    project: str,
    received_unix_nano: int,
    item_count: int,
    digest: bytes,
    size: int,
    packed: bytes,
    signal: str,
) -> Entry | Damaged:
    envelope = Envelope.unpacked(
        project=project,
        signal=SIGNALS.get(signal, TRACES),
        received_unix_nano=received_unix_nano,
        item_count=item_count,
        digest=digest,
        size=size,
        packed=packed,
    )
    if envelope is None or signal not in SIGNALS:
        return Damaged(id_, project, SIGNALS.get(signal, TRACES), item_count, size)
    return Entry(id_, envelope)
