"""One file of undelivered requests: appended to, read from its end, and cut there when they are delivered.

    spool → **SpoolFile** → records on disk

    record = magic, number of spans, length, checksum of these and the body | body: an OTLP request

Being cut at the end, a file shrinks as it is sent, and after a crash nothing is sent twice but the last record. The
kernel's lock on it ends with the process that holds it, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .parcel import Parcel

try:
    import fcntl
except ImportError:  # on Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

SUFFIX = ".spool"

_MAGIC = b"BTS1"
_HEAD = struct.Struct(">4sIII")
_LONGEST_BODY = 1 << 28
_PIECE = 1 << 20


@dataclass(slots=True, eq=False)
class Record:
    """Where a request lies in which file."""

    file: SpoolFile
    place: int
    span_count: int
    length: int
    is_out: bool = False
    failures: int = 0

    def read(self) -> Parcel | None:
        """The request; None if the disk no longer has it as it was written."""
        body = self.file.read(self)
        return Parcel.of(body, self.span_count) if body is not None else None


class SpoolFile:
    """Its own process's, until the process is gone."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self.damaged_bytes = 0
        self.span_count = 0
        self._handle = handle
        self._records: list[Record] = []
        self._end = 0

    @staticmethod
    def size_of(parcel: Parcel) -> int:
        return _HEAD.size + len(parcel.body)

    @classmethod
    def create(cls, folder: Path) -> SpoolFile:
        path = folder / f"{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if not _lock(handle):
            os.close(handle)
            raise OSError(f"{path} was taken by another process")
        return cls(path, handle)

    @classmethod
    def take_over(cls, path: Path) -> SpoolFile | None:
        """None if its process lives, or if it is nothing that we would have made."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        about = os.fstat(handle)
        # Without a name it was sent by another process, between our opening and our locking it.
        if not stat.S_ISREG(about.st_mode) or not _lock(handle) or os.fstat(handle).st_nlink == 0:
            os.close(handle)
            return None
        file = cls(path, handle)
        file._find_records(about.st_size)
        return file

    def __bool__(self) -> bool:
        return bool(self._records)

    @property
    def is_deleted(self) -> bool:
        """Whether nobody would find it any more."""
        return os.fstat(self._handle).st_nlink == 0

    def move_to(self, other: SpoolFile) -> None:
        """Append what is in here to another file, and be done with this one."""
        for record in self._records:
            if not record.is_out and (parcel := record.read()) is not None:
                other.append([parcel])
        self.close()

    def append(self, parcels: Sequence[Parcel]) -> None:
        """Returns when they are on the disk. Raises OSError, and then none of them is."""
        end = self._end
        records = []
        try:
            for parcel in parcels:
                _write(self._handle, _head(parcel.span_count, parcel.body) + parcel.body, end)
                records.append(Record(self, end, parcel.span_count, len(parcel.body)))
                end += self.size_of(parcel)
            os.fsync(self._handle)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self._end)
            raise
        self._end = end
        self._records += records
        self.span_count += sum(record.span_count for record in records)

    def last(self) -> Record | None:
        return next((record for record in reversed(self._records) if not record.is_out), None)

    def read(self, record: Record) -> bytes | None:
        return _read_body(self._handle, record.place, _HEAD.size + record.length)

    def take_out(self, record: Record) -> None:
        """Done with. What was appended since lies behind it, and it goes when that has gone."""
        record.is_out = True
        self.span_count -= record.span_count
        while self._records and self._records[-1].is_out:
            self._end = self._records.pop().place
        if not self._records:
            self._end = 0
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, self._end)

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        handle, self._handle = self._handle, -1
        with contextlib.suppress(OSError):
            os.close(handle)
        self._records = []

    def _find_records(self, size: int) -> None:
        """Whole records, whatever lies between them."""
        place = 0
        while place < size:
            body = _read_body(self._handle, place, size - place)
            if body is None:
                found = _find_magic(self._handle, place + 1, size)
                self.damaged_bytes += found - place
                place = found
            else:
                count = _HEAD.unpack(os.pread(self._handle, _HEAD.size, place))[1]
                self._records.append(Record(self, place, count, len(body)))
                self.span_count += count
                place += _HEAD.size + len(body)
        self._end = size


def _head(span_count: int, body: bytes) -> bytes:
    counts = struct.pack(">II", span_count, len(body))
    return _MAGIC + counts + struct.pack(">I", zlib.crc32(body, zlib.crc32(counts)))


def _read_body(handle: int, place: int, most: int) -> bytes | None:
    """The body of the record there, if there is a whole one within so many bytes."""
    try:
        head = os.pread(handle, _HEAD.size, place)
        if len(head) < _HEAD.size:
            return None
        magic, span_count, length, _ = _HEAD.unpack(head)
        if magic != _MAGIC or length > min(most - _HEAD.size, _LONGEST_BODY):
            return None
        body = b"".join(_pieces(handle, place + _HEAD.size, length))
    except OSError:
        return None
    return body if len(body) == length and _head(span_count, body) == head else None


def _pieces(handle: int, place: int, length: int) -> Iterator[bytes]:
    while length > 0 and (piece := os.pread(handle, length, place)):
        yield piece
        place += len(piece)
        length -= len(piece)


def _find_magic(handle: int, place: int, size: int) -> int:
    """Where the next record may begin, or the end."""
    while place < size:
        piece = os.pread(handle, _PIECE, place)
        if not piece:
            return size
        if (found := piece.find(_MAGIC)) >= 0:
            return place + found
        place += max(len(piece) - len(_MAGIC) + 1, 1)
    return size


def _write(handle: int, data: bytes, place: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, place)
        view = view[written:]
        place += written


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
