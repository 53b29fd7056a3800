"""Undelivered spans in a folder, so that they outlive the process: this one sends them, or the next one.

    exporting thread → **Spool** → spool_file → exporting thread → delivery

Each process writes one file of its own, and takes over the files of processes that are gone. A file of our own rather
than SQLite: a forked child can neither use nor close a connection of its parent, and all that is needed is a stack.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from backtrail._boundary import complain, logger

from .limits import DEFAULT_MAX_SPOOL_BYTES
from .parcel import Parcel
from .spool_file import HAS_LOCKS, SUFFIX, Record, SpoolFile

_SECONDS_BETWEEN_TRIES = 2.0


class Spool:
    """`max_bytes` bounds the folder, whoever writes into it."""

    def __init__(self, folder: Path, max_bytes: int = DEFAULT_MAX_SPOOL_BYTES) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._own: SpoolFile | None = None
        self._found: list[SpoolFile] = []
        self._next_try = 0.0
        if not HAS_LOCKS:
            raise ValueError("spool_dir needs locks on files, which this system does not have")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"spool_dir={str(folder)!r} cannot be made: {error.strerror}") from error

    def __bool__(self) -> bool:
        """Whether there is anything to be sent."""
        return bool(self._own or self._found)

    @property
    def own_span_count(self) -> int:
        """Spans of this process that are here and nowhere else."""
        return self._own.span_count if self._own is not None else 0

    def take_over(self) -> None:
        """Own what processes that are gone have left behind."""
        with self._lock:
            for path in sorted(self.folder.glob(f"*{SUFFIX}")):
                file = SpoolFile.take_over(path)
                if file is None:
                    continue
                if file.damaged_bytes:
                    message = "%d bytes in %s cannot be read, as after a crash; what is whole around them is sent"
                    logger.warning(message, file.damaged_bytes, path)
                if file:
                    self._found.append(file)
                else:
                    file.remove()

    def append(self, parcels: Sequence[Parcel]) -> int:
        """How many of them, from the first on, are on the disk now: written and synced."""
        with self._lock:
            try:
                room = self._max_bytes - self._folder_bytes()
                fitting = 0
                while fitting < len(parcels) and (room := room - SpoolFile.size_of(parcels[fitting])) >= 0:
                    fitting += 1
                if fitting < len(parcels):
                    complain("a full spool", "%s holds %d bytes; no more are kept there", self.folder, self._max_bytes)
            except OSError:
                # Of a folder that is gone; it is made again.
                fitting = len(parcels)
            return self._write(parcels[:fitting])

    def _write(self, parcels: Sequence[Parcel]) -> int:
        """How many could be written: on a disk that is nearly full, some."""
        if not parcels or time.monotonic() < self._next_try:
            return 0
        with suppress(OSError):
            self._writable().append(parcels)
            return len(parcels)
        for count, parcel in enumerate(parcels):
            try:
                self._writable().append([parcel])
            except OSError as error:
                complain("the spool", "undelivered spans cannot be kept in %s: %s", self.folder, error)
                # Each try writes up to where it fails, and undoes that.
                self._next_try = time.monotonic() + _SECONDS_BETWEEN_TRIES
                return count
        return len(parcels)

    def _writable(self) -> SpoolFile:
        """Our own file. If somebody deleted it, a new one with what is in it, as long as we can read it."""
        gone = self._own
        if gone is not None and not gone.is_deleted:
            return gone
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = SpoolFile.create(self.folder)
        if gone is not None:
            gone.move_to(file)
        self._own = file
        return file

    def split(self, record: Record, parts: Sequence[Parcel]) -> bool:
        """Whether its parts are in its place: a server takes less at once than it holds."""
        with self._lock:
            try:
                record.file.append(parts)
            except OSError as error:
                complain("the spool", "undelivered spans cannot be kept in %s: %s", self.folder, error)
                return False
            record.file.take_out(record)
            return True

    def last(self) -> Record | None:
        """The newest record of the first file that has one."""
        with self._lock:
            for file in (self._own, *self._found):
                if file is not None and (record := file.last()) is not None:
                    return record
            return None

    def take_out(self, record: Record) -> int:
        """It is delivered, or lost; how many spans of this process that were."""
        with self._lock:
            record.file.take_out(record)
            if record.file is self._own:
                return record.span_count
            if not record.file and record.file in self._found:
                self._found.remove(record.file)
                record.file.remove()
            return 0

    def close(self) -> None:
        """Let go of the files: what is in them is for the next process."""
        with self._lock:
            if self._own:
                with suppress(OSError):
                    self._writable()
            for file in (self._own, *self._found):
                if file is None:
                    continue
                if file:
                    file.close()
                else:
                    file.remove()
            self._own, self._found = None, []

    def renew(self) -> None:
        """In a forked process: the files are the parent's, and its lock on them is not touched."""
        self._lock = threading.RLock()
        for file in (self._own, *self._found):
            if file is not None:
                file.close()
        self._own, self._found = None, []

    def _folder_bytes(self) -> int:
        size = 0
        with os.scandir(self.folder) as entries:
            for entry in entries:
                # Another process may have sent it meanwhile.
                with suppress(FileNotFoundError):
                    size += entry.stat().st_size if entry.name.endswith(SUFFIX) else 0
        return size
