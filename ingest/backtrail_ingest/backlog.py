"""What waits for the writer, in the order received: the oldest in memory, the rest only in the file.

    inbox ── **backlog** ──▶ writer

Nothing in memory changes before the transaction that it stands for is on disk: `choose` looks, `settle` acts.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from backtrail_ingest.inbox_file import Damaged, Entry, InboxFile


@dataclass(frozen=True, slots=True)
class Choice:
    """The writer's next entries, the damaged rows that lay among them, and how far it reaches."""

    entries: list[Entry] = field(default_factory=list)
    damaged: list[Damaged] = field(default_factory=list)
    last_id: int = 0


class Backlog:
    def __init__(self, file: InboxFile, *, max_held_bytes: int, handed_out: int = 0) -> None:
        self._file = file
        self._max_held_bytes = max_held_bytes
        self._held: deque[Entry] = deque()
        self._held_bytes = 0
        self._unread_from = file.first_id(after=handed_out)
        self._in_flight = file.in_flight()
        self.last_id = max(file.last_id(), handed_out)
        self.handed_out = handed_out  # the writer has seen everything up to this id

    def choose(self, arriving: Sequence[Entry], *, max_bytes: int) -> Choice:
        """Entries for one batch, from memory if it holds the oldest; inside the transaction that adds `arriving`."""
        if self._in_flight is not None and self._unread_from is not None:
            first_id, last_id = self._in_flight
            if first_id >= self._unread_from:
                return self._read(first_id, last_id, max_bytes=None)
        if self._held or self._unread_from is None:
            in_memory = self._held if self._unread_from is not None else chain(self._held, arriving)
            entries = _first_bytes(in_memory, max_bytes)
            return Choice(entries, [], entries[-1].id) if entries else Choice()
        return self._read(self._unread_from, self.last_id + len(arriving), max_bytes=max_bytes)

    def _read(self, first_id: int, last_id: int, *, max_bytes: int | None) -> Choice:
        rows = list(self._file.read(first_id, last_id, max_bytes=max_bytes))
        entries = [row for row in rows if isinstance(row, Entry)]
        damaged = [row for row in rows if isinstance(row, Damaged)]
        return Choice(entries, damaged, rows[-1].id if rows else last_id)

    def settle(self, arriving: Sequence[Entry], choice: Choice) -> None:
        """The transaction is on disk: forget what was handed out, hold what came in."""
        self.handed_out = max(self.handed_out, choice.last_id)
        while self._held and self._held[0].id <= choice.last_id:
            self._held_bytes -= self._held.popleft().size
        if self._unread_from is not None and self._unread_from <= choice.last_id:
            self._unread_from = choice.last_id + 1
            self._in_flight = None
        for entry in arriving:
            self.last_id = entry.id
            if entry.id > choice.last_id:
                self._hold(entry)
        if self._unread_from is not None and self._unread_from > self.last_id:
            self._unread_from = None

    def _hold(self, entry: Entry) -> None:
        if self._unread_from is None and self._held_bytes + entry.size <= self._max_held_bytes:
            self._held.append(entry.without_packed())
            self._held_bytes += entry.size
        elif self._unread_from is None:
            self._unread_from = entry.id


def _first_bytes(entries: Iterable[Entry], max_bytes: int) -> list[Entry]:
    chosen: list[Entry] = []
    total = 0
    for entry in entries:
        total += entry.size
        if chosen and total > max_bytes:
            break
        chosen.append(entry)
    return chosen
