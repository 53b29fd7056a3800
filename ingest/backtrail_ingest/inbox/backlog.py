"""What waits for the writer, in the order of writing: the first of it in memory, the rest only in the file.

    inbox ── **backlog** ──▶ writer

Nothing in memory changes before the transaction that it stands for is on disk: `choose` looks, `settle` acts.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import merge
from operator import attrgetter

from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_ingest.inbox.inbox_rows import Damaged, Entry

by_id = attrgetter("id")


@dataclass(frozen=True, slots=True)
class Choice:
    """The writer's next entries, the damaged rows that lay among them, and how far it reaches."""

    entries: list[Entry] = field(default_factory=list)
    damaged: list[Damaged] = field(default_factory=list)
    last_id: int = 0


class Backlog:
    """In memory is everything that waits before `_unread_from`, and nothing behind it."""

    def __init__(self, file: InboxFile, *, max_held_bytes: int, handed_out: int) -> None:
        self._file = file
        self._max_held_bytes = max_held_bytes
        self._held: list[Entry] = []
        self._held_bytes = 0
        self._unread_from = file.first_id(after=handed_out)
        self._last_id = file.last_id()
        self._in_flight = file.in_flight()
        self.handed_out = handed_out  # the writer has seen everything up to this id

    def choose(self, arriving: Sequence[Entry], *, max_bytes: int) -> Choice:
        """Entries for one batch; to be called inside the transaction that adds `arriving` to the file."""
        if self._in_flight is not None and self._unread_from is not None:
            _, last_in_flight = self._in_flight
            if self._unread_from <= last_in_flight:
                return self._read_in_flight(self._unread_from, last_in_flight, arriving, max_bytes=max_bytes)
        in_memory = merge(self._held, sorted(filter(self._is_before_unread, arriving), key=by_id), key=by_id)
        entries = _first_bytes(in_memory, max_bytes)
        if entries:
            return Choice(entries, [], entries[-1].id)
        if self._unread_from is None:
            return Choice()
        return self._read(self._unread_from, self._end(arriving), max_bytes=max_bytes)

    def _end(self, arriving: Sequence[Entry]) -> int:
        return max([self._last_id, *(entry.id for entry in arriving)])

    def _read_in_flight(self, first_id: int, last_id: int, arriving: Sequence[Entry], *, max_bytes: int) -> Choice:
        """The same batch as before the restart; the one behind it, if all of that one is damaged."""
        batch = self._read(first_id, last_id, max_bytes=None)
        if batch.entries:
            return batch
        behind = self._read(last_id + 1, self._end(arriving), max_bytes=max_bytes)
        return Choice(behind.entries, batch.damaged + behind.damaged, behind.last_id)

    def _read(self, first_id: int, last_id: int, *, max_bytes: int | None) -> Choice:
        """Past what is damaged, until there is something for the writer: nobody comes to wake it again."""
        damaged: list[Damaged] = []
        while True:
            rows = list(self._file.read(first_id, last_id, max_bytes=max_bytes))
            damaged += [row for row in rows if isinstance(row, Damaged)]
            entries = [row for row in rows if isinstance(row, Entry)]
            if entries or not rows:
                return Choice(entries, damaged, rows[-1].id if rows else last_id)
            first_id = rows[-1].id + 1

    def settle(self, arriving: Sequence[Entry], choice: Choice) -> None:
        """The transaction is on disk: forget what was handed out, hold what came in."""
        self.handed_out = max(self.handed_out, choice.last_id)
        self._forget(choice.last_id)
        if self._unread_from is not None and self._unread_from <= choice.last_id:
            self._unread_from = choice.last_id + 1
            self._in_flight = None
        for entry in arriving:
            self._last_id = max(self._last_id, entry.id)
            if entry.id > choice.last_id and self._is_before_unread(entry):
                self._hold(entry)
        if self._unread_from is not None and self._unread_from > self._last_id:
            self._unread_from = None

    def _forget(self, last_id: int) -> None:
        count = 0
        for entry in self._held:
            if entry.id > last_id:
                break
            self._held_bytes -= entry.size
            count += 1
        del self._held[:count]

    def _hold(self, entry: Entry) -> None:
        """What memory has no room for is left to the file, from the end."""
        insort(self._held, entry.without_packed(), key=by_id)
        self._held_bytes += entry.size
        while self._held_bytes > self._max_held_bytes:
            last = self._held.pop()
            self._held_bytes -= last.size
            self._unread_from = last.id

    def _is_before_unread(self, entry: Entry) -> bool:
        return self._unread_from is None or entry.id < self._unread_from


def _first_bytes(entries: Iterable[Entry], max_bytes: int) -> list[Entry]:
    chosen: list[Entry] = []
    total = 0
    for entry in entries:
        total += entry.size
        if chosen and total > max_bytes:
            break
        chosen.append(entry)
    return chosen
