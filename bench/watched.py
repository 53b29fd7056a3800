"""What a process and the children it has use: memory, processor time, disk; as the kernel counts it."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Memory:
    """The largest resident size seen while the block ran."""

    pid: int
    peak: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self._ended.wait(0.1):
            self.peak = max(self.peak, resident_bytes(self.pid))

    @classmethod
    @contextmanager
    def watched(cls, pid: int) -> "Iterator[Memory]":
        memory = cls(pid, resident_bytes(pid))
        thread = threading.Thread(target=memory.watch)
        thread.start()
        try:
            yield memory
        finally:
            memory._ended.set()
            thread.join()


def family(pid: int) -> list[int]:
    """The process, its children, and theirs."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has ended meanwhile
        return []
    return [pid, *(descendant for child in children for descendant in family(child))]


def resident_bytes(pid: int) -> int:
    """Pages that several processes of a family share are counted for each."""
    return sum(_resident_bytes(member) for member in family(pid))


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def processor_seconds(pid: int) -> float:
    """Of the process, of its living children, and of those that have ended and been waited for."""
    return sum(_processor_seconds(member) for member in family(pid))


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15])) / CLOCK_TICKS


def bytes_on_disk(folder: Path) -> int:
    """By asking the system's du, which does not mind files that vanish while it looks."""
    output = subprocess.run(["du", "-sb", str(folder)], capture_output=True, text=True, check=False).stdout
    return int(output.split()[0])
