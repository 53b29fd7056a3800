"""How much more may come into the inbox: its quota, divided into shares, and what the disk has left.

admission, inbox_keeper → **inbox_room** → shares
"""

import shutil
from contextlib import suppress
from pathlib import Path

from backtrail_ingest.errors import DiskFull, InboxFull, Overloaded
from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_ingest.inbox.shares import Shares, is_too_much


class InboxRoom:
    """Kept by the inbox's thread, and asked by others too: what they see may be a moment old.

    What the store refused goes on counting for its project, or a client that sends nothing else would fill the inbox.
    """

    def __init__(self, folder: Path, *, max_bytes: int, disk_reserve: int) -> None:
        self.max_bytes = max_bytes
        self.shares = Shares()
        self.is_short_of_disk = False
        self._folder = folder
        self._disk_reserve = disk_reserve
        self._used = 0

    def read(self, file: InboxFile) -> None:
        """From a file that was opened just now."""
        self.shares = Shares()
        self.shares.add_all(dict(file.sizes()))
        self.shares.add_all(dict(file.quarantined_sizes()))
        self.measure(file)

    def measure(self, file: InboxFile) -> None:
        self._used = file.used_bytes()

    def look_at_disk(self) -> None:
        """Deleting takes room too: a disk that is quite full could not even be emptied."""
        with suppress(OSError):
            self.is_short_of_disk = self._free_disk() < self._disk_reserve

    def refusal(self, project: str, size: int) -> Overloaded | None:
        """Why this project may not add `size` bytes; None if it may."""
        return self.disk_full() if self.is_short_of_disk else self.refusal_by_quota(project, size)

    def refusal_by_quota(self, project: str, size: int) -> Overloaded | None:
        held = self.shares.of(project) * self._used // max(self.shares.total, 1)
        if not is_too_much(held + size, free=self.max_bytes - self._used - size):
            return None
        return InboxFull(
            f"the inbox is full: it may hold {self.max_bytes} bytes, and project {project!r} has its share of them "
            "waiting for the store, or in quarantine"
        )

    def quota_used_up(self) -> InboxFull:
        return InboxFull(f"the inbox is full: it holds {self.max_bytes} bytes that the store has not taken yet")

    def disk_full(self) -> DiskFull:
        kept = f", and {self._disk_reserve} are kept in reserve" if self._disk_reserve else ""
        return DiskFull(f"the disk has {self._free_disk()} bytes left{kept}")

    @property
    def shortage(self) -> str:
        return f"the disk is nearly full: {self._disk_reserve} bytes of it are kept free" * self.is_short_of_disk

    def _free_disk(self) -> int:
        return shutil.disk_usage(self._folder).free
