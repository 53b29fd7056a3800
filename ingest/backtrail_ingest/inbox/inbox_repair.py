"""A damaged inbox: what can still be read goes on in a new file, the old one is put aside and kept.

    inbox_keeper → **inbox_repair** → inbox_file

The new file is complete before the old one moves, so a crash at any point leaves one of them in its place.
"""

import os
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

from backtrail_ingest.inbox.inbox_file import PAGE_BYTES, InboxFile, TableMissing

DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
MOST_FAILURES = 2000
MOST_LENGTHENED = 100  # a header may be damaged too
TABLES = ("inbox", "in_flight", "quarantine")


def is_damage(error: Exception) -> bool:
    return isinstance(error, TableMissing) or getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE


def repair(path: Path, *, max_bytes: int) -> Path:
    """Returns where the damaged file went."""
    rescued = beside(path, ".rescued")
    for suffix in ("", "-wal", "-shm"):
        beside(rescued, suffix).unlink(missing_ok=True)
    lengthen(path)
    with closing(InboxFile(rescued, max_bytes=max_bytes)) as file, file.transaction():
        for table in TABLES:
            file.add_rows(table, readable_rows(path, table))
    aside = put_aside(path)
    finish_repair(path)
    return aside


def finish_repair(path: Path) -> None:
    """Puts the new file in its place, now or after a crash."""
    rescued = beside(path, ".rescued")
    if rescued.exists() and not path.exists():
        for suffix in ("-wal", "-shm"):  # the old file's: it would be read into the new one
            beside(path, suffix).unlink(missing_ok=True)
        rescued.rename(path)
        sync_folder(path.parent)


def put_aside(path: Path) -> Path:
    aside = next(name for n in count(1) if not (name := beside(path, f".damaged-{n}")).exists())
    path.rename(aside)
    if beside(path, "-wal").exists():
        beside(path, "-wal").rename(beside(aside, "-wal"))
    return aside


def lengthen(path: Path) -> None:
    """To the pages that the header speaks of: of a shorter file SQLite does not read what is there."""
    with path.open("r+b") as file:
        header = file.read(100)
        pages = int.from_bytes(header[28:32], "big")
        if header.startswith(b"SQLite format 3") and pages * PAGE_BYTES <= MOST_LENGTHENED * path.stat().st_size:
            file.truncate(max(pages * PAGE_BYTES, path.stat().st_size))


def readable_rows(path: Path, table: str) -> Iterator[tuple[object, ...]]:
    """Where reading stops, what lies behind is tried by halves, the wide ones first: a lost page hides only itself."""
    select = f"SELECT rowid, * FROM {table} WHERE rowid BETWEEN ? AND ? ORDER BY rowid"
    ranges = deque([(0, (1 << 63) - 1)])
    failures = 0
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = lambda text: text.decode(errors="replace")
        while ranges and failures < MOST_FAILURES:
            first, last = ranges.popleft()
            try:
                for row in connection.execute(select, (first, last)):
                    first = row[0] + 1
                    yield row[1:]
            except sqlite3.DatabaseError:
                failures += 1
                middle = (first + last) // 2
                ranges += [(first, middle), (middle + 1, last)] if first < last else []


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
