"""A backup's file: plain tar, or compressed where its name ends in .zst.

commands.backup → **compression** → FILE → **compression** → restore
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

if sys.version_info >= (3, 14):
    from compression import zstd
    from compression.zstd import ZstdError
else:
    from backports import zstd
    from backports.zstd import ZstdError

MAGIC = b"\x28\xb5\x2f\xfd"

__all__ = ["ZstdError", "created_backup", "new_file", "opened_backup"]


def new_file(path: Path) -> BinaryIO:
    """Nobody but its owner may read it: it holds what anybody sent."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


@contextmanager
def created_backup(file: Path) -> Iterator[IO[bytes]]:
    """Takes its name when it is whole and synced. Raises OSError, also where the name is a device's or a folder's."""
    if file.exists() and not file.is_file():
        raise FileExistsError(errno.EEXIST, "it is there and is no file")
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    try:
        with new_file(part) as plain:
            if file.suffix == ".zst":
                with zstd.ZstdFile(plain, "wb") as compressed:
                    yield cast("IO[bytes]", compressed)
            else:
                yield plain
            plain.flush()
            os.fsync(plain.fileno())
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def opened_backup(file: Path) -> Iterator[IO[bytes]]:
    with file.open("rb") as plain:
        is_compressed = plain.read(len(MAGIC)) == MAGIC
        plain.seek(0)
        if is_compressed:
            with zstd.ZstdFile(plain) as decompressed:
                yield cast("IO[bytes]", decompressed)
        else:
            yield plain
