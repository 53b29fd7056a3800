"""The data folder: made if missing, written to as a test, and owned by one process at a time.

app → **folder** → store, inbox
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from backtrail_server.errors import DataFolderInUse, DataFolderNotWritable, NoDataFolder


def make_folder(folder: Path) -> None:
    """For its owner alone: it holds what anybody sent, and whoever can open the lock could keep it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataFolderNotWritable(f"the data folder {folder} cannot be made: {error.strerror}") from error


def check_folder(folder: Path) -> None:
    """For commands that only read: a misspelt folder is not made, and its emptiness not taken for an answer."""
    if not folder.is_dir():
        raise NoDataFolder(f"there is no data folder {folder}; name it with --data or BACKTRAIL_DATA")


@contextmanager
def owned_folder(folder: Path) -> Iterator[Path]:
    """The kernel lets go of the lock when the process ends, however it ends."""
    make_folder(folder)
    try:
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise DataFolderNotWritable(f"the data folder {folder} cannot be written: {error.strerror}") from error
    with lock, kept_from_children(lock):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise DataFolderInUse(f"the data folder {folder} is in use by another process ({owner})") from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield folder


def is_owned(folder: Path) -> bool:
    """True while some process, this one too, owns the folder."""
    try:
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise DataFolderNotWritable(f"the data folder {folder} cannot be written: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def kept_from_children(lock: TextIO) -> Iterator[None]:
    """A forked child that outlives its parent must not own the folder on."""
    _locks.add(lock)
    try:
        yield
    finally:
        _locks.discard(lock)


def _close_locks() -> None:
    for lock in _locks:
        lock.close()


_locks: set[TextIO] = set()
os.register_at_fork(after_in_child=_close_locks)


def keep_temporary_files_in(folder: Path) -> None:
    """The embedded engine makes files in the system's temporary directory when it is imported, and leaves them
    there after a kill: it gets a directory that is emptied at each start instead."""
    temporary = folder / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(exist_ok=True)
    except OSError as error:
        raise DataFolderNotWritable(f"the folder {temporary} cannot be made: {error.strerror}") from error
    os.environ["TMPDIR"] = str(temporary)
    tempfile.tempdir = None
