"""The embedded store as it is at one moment, in files that do not change while somebody copies them.

    **frozen** → backup

ClickHouse freezes a table by hard links to its parts, which takes milliseconds and no room. While it does, nothing is
inserted, so that the tables agree. The deduplication logs are left out: they may name inserts made after this moment,
and then the copy would refuse requests that it lacks.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from backtrail_store.client import ClientPool
from backtrail_store.questions import QUERIES

SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class StoreFile:
    """A file or a symbolic link: where it is, and where it belongs in the store's folder."""

    path: Path
    name: Path


@contextmanager
def frozen_files(writers: ClientPool, folder: Path) -> Iterator[list[StoreFile]]:
    """`writers` lends the one client that inserts; the files are gone when this is left."""
    moment = uuid4().hex
    shadow = folder / SHADOW / moment
    try:
        with writers.borrow() as client:
            for (table,) in client.query(QUERIES["list_tables"]).result_rows:
                client.command(f"ALTER TABLE `{table}` FREEZE WITH NAME '{moment}'")
        yield [*_definitions(folder), *_below(shadow, folder=shadow)]
    finally:
        shutil.rmtree(shadow, ignore_errors=True)


def remove_frozen(folder: Path) -> None:
    """What a killed process left: it would keep the room of files that are long replaced, and what was erased."""
    shutil.rmtree(folder / SHADOW, ignore_errors=True)


def _definitions(folder: Path) -> Iterator[StoreFile]:
    """Databases, tables, functions, and the version that each table's folder names."""
    for name in ("metadata", "data", "user_defined"):
        yield from _below(folder / name, folder=folder)
    for path in sorted(folder.glob("store/*/*/*")):
        if path.suffix == ".sql" or path.name == "format_version.txt":
            yield StoreFile(path, path.relative_to(folder))


def _below(top: Path, *, folder: Path) -> Iterator[StoreFile]:
    for path in sorted(top.rglob("*")):
        if path.is_symlink() or path.is_file():
            yield StoreFile(path, path.relative_to(folder))
