"""A damaged inbox: what can still be read goes on in a new file, the old one is put aside and kept.

    inbox_keeper → **inbox_repair** → inbox_file

The new file is complete before the old one moves, so a crash at any point leaves one of them in its place.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

from backtrail_ingest.inbox_file import InboxFile, TableMissing

DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
TABLES = ("inbox", "in_flight", "quarantine")


def is_damage(error: Exception) -> bool:
    return isinstance(error, TableMissing) or getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE


def repair(path: Path, *, max_bytes: int) -> Path:
    """Returns where the damaged file went."""
    rescued = beside(path, ".rescued")
    for suffix in ("", "-wal", "-shm"):
        beside(rescued, suffix).unlink(missing_ok=True)
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


def readable_rows(path: Path, table: str) -> Iterator[tuple[object, ...]]:
    """From the front as far as it goes, then from the back."""
    key = "first_id" if table == "in_flight" else "id"
    last = -1
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.text_factory = lambda text: text.decode(errors="replace")
            try:
                for row in connection.execute(f"SELECT * FROM {table} ORDER BY {key}"):
                    last = row[0]
                    yield row
            except sqlite3.DatabaseError:
                yield from connection.execute(f"SELECT * FROM {table} WHERE {key} > ? ORDER BY {key} DESC", (last,))
    except sqlite3.DatabaseError:
        return


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
