"""Keeps every accepted request on disk until the store has it; the acknowledgement waits for its sync.

    receiver → admission → **inbox** → ack
                              └──────→ writer → store

This is the inbox as others see it: every call puts an order to the thread that owns the file (inbox_keeper).
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from backtrail_ingest.envelope import Envelope
from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_ingest.inbox.inbox_keeper import InboxKeeper
from backtrail_ingest.inbox.inbox_orders import Append, Ask, Close, Delete, Quarantine, Release, StopTaking, Take
from backtrail_ingest.inbox.inbox_rows import Entry, items_of, sizes_of
from backtrail_ingest.ledger import Ledger

T = TypeVar("T")

HELD_BYTES = 256 << 20


class Inbox:
    def __init__(self, keeper: InboxKeeper) -> None:
        self._keeper = keeper
        self._orders = keeper.orders
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=keeper.run, args=[self._opened], name="inbox", daemon=True)

    def open(self) -> None:
        self._thread.start()
        self._opened.result()

    def close(self) -> None:
        self._orders.put(Close())
        self._thread.join()

    @property
    def trouble(self) -> str | None:
        """Why not all is well, in a sentence for whoever runs this."""
        return self._keeper.trouble

    def require_room(self, project: str) -> None:
        """Raises InboxFull if a request of this project is not worth reading: at most a hundredth of room is left."""
        room = self._keeper.room
        if refusal := room.refusal_by_quota(project, room.max_bytes // 128):
            raise refusal

    async def append(self, envelope: Envelope) -> None:
        """Returns when the envelope is synced to disk."""
        loop = asyncio.get_running_loop()
        synced = loop.create_future()
        self._orders.put(Append(envelope, loop, synced))
        await synced

    def has_taken(self, envelope: Envelope) -> bool:
        """Whether the same request was appended lately, and is safe."""
        return envelope in self._keeper.taken

    def take(self, max_bytes: int) -> Future[list[Entry]]:
        """The first to be written: at least one, up to `max_bytes`, each handed out once; none after `stop_taking`."""
        take = Take(max_bytes)
        self._orders.put(take)
        return take.batch

    def stop_taking(self) -> None:
        """Answers the take that waits, and all later ones, with nothing: the writer is to end."""
        self._orders.put(StopTaking())

    def delete(self, entries: Sequence[Entry]) -> None:
        """The store has these consecutive entries on its disk."""
        self._orders.put(Delete(entries[0].id, entries[-1].id, items_of(entries), sizes_of(entries)))

    def quarantine(self, entry: Entry, reason: str) -> None:
        """The store will never take this one: it stays on our disk, out of the way, with the reason."""
        self._orders.put(Quarantine(entry.id, items_of([entry]), sizes_of([entry]), reason))

    def retry(self, quarantine_id: int) -> bool:
        """Out of quarantine, to be written again. False if it is not there, or is damaged."""
        return self._release(quarantine_id, is_dropped=False)

    def drop(self, quarantine_id: int) -> bool:
        """Out of quarantine, and away for good. False if it is not there."""
        return self._release(quarantine_id, is_dropped=True)

    def _release(self, quarantine_id: int, *, is_dropped: bool) -> bool:
        release = Release(quarantine_id, is_dropped)
        self._orders.put(release)
        return release.done.result()

    def ask(self, question: Callable[[InboxFile], T]) -> T:
        """What the file says, asked on its own connection."""
        ask = Ask(cast("Callable[[InboxFile], Any]", question))
        self._orders.put(ask)
        return cast("T", ask.answer.result())


@contextmanager
def open_inbox(
    path: Path,
    *,
    max_bytes: int,
    ledger: Ledger,
    held_bytes: int = HELD_BYTES,
    disk_reserve: int = 0,
    release_reserve: Callable[[], None] = lambda: None,
) -> Iterator[Inbox]:
    """`max_bytes` on disk, `held_bytes` of them in memory too; `disk_reserve` bytes of the disk stay free. On a disk
    that is full all the same, `release_reserve` gives it a little room to delete in."""
    keeper = InboxKeeper(
        path,
        max_bytes=max_bytes,
        held_bytes=held_bytes,
        disk_reserve=disk_reserve,
        release_reserve=release_reserve,
        ledger=ledger,
    )
    inbox = Inbox(keeper)
    inbox.open()
    try:
        yield inbox
    finally:
        inbox.close()
