"""Eight megabytes kept for the day when the disk is full: even dropping a partition takes room.

folder → **reserve** → retention, inbox
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RESERVE = "reserve"
RESERVE_BYTES = 8 << 20


def keep_reserve(folder: Path) -> None:
    """Blocks that are really allocated. A disk without room for them has no reserve, and nothing else is lost."""
    path = folder / RESERVE
    try:
        if path.exists() and path.stat().st_size == RESERVE_BYTES:
            return
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
    except OSError:
        path.unlink(missing_ok=True)


def release_reserve(folder: Path) -> None:
    """Until the retention looks again."""
    (folder / RESERVE).unlink(missing_ok=True)


@contextmanager
def reserve_released(folder: Path) -> Iterator[None]:
    """Its room is free for the block's work, and taken again afterwards if the work has made enough."""
    release_reserve(folder)
    try:
        yield
    finally:
        keep_reserve(folder)
