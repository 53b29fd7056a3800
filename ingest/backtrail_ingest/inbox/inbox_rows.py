"""What lies in the inbox: entries that wait, damaged ones, quarantined ones, and how many there are of each.

inbox, backlog, writer ⇄ **inbox_rows** ⇄ inbox_file
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from backtrail_ingest.envelope import Envelope
from backtrail_ingest.signals import Signal


@dataclass(frozen=True, slots=True)
class Entry:
    """An envelope and its place in the order of writing."""

    id: int
    envelope: Envelope

    @property
    def size(self) -> int:
        return len(self.envelope.request)

    def without_packed(self) -> "Entry":
        """What the writer needs of it once it is on disk."""
        return Entry(self.id, replace(self.envelope, packed=b""))


@dataclass(frozen=True, slots=True)
class Damaged:
    """A row whose request no longer is what was received."""

    id: int
    project: str
    signal: Signal
    item_count: int
    size: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A request that the store refused for good, without its bytes."""

    id: int
    project: str
    received_unix_nano: int
    quarantined_unix_nano: int
    signal: str
    item_count: int
    size: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxCounts:
    waiting_requests: int
    waiting: Counter[Signal]
    quarantined_requests: int
    quarantined: Counter[Signal]


def items_of(rows: Iterable[Entry | Damaged]) -> Counter[Signal]:
    """How many spans and how many log records."""
    items: Counter[Signal] = Counter()
    for row in rows:
        of = row.envelope if isinstance(row, Entry) else row
        items[of.signal] += of.item_count
    return items


def sizes_of(rows: Iterable[Entry | Damaged]) -> Counter[str]:
    """How many bytes of each project."""
    sizes: Counter[str] = Counter()
    for row in rows:
        project = row.envelope.project if isinstance(row, Entry) else row.project
        sizes[project] += row.size
    return sizes
