"""What is asked of the inbox's thread, and how it answers those who wait elsewhere.

admission, writer, admin → inbox → **inbox_orders** → inbox_keeper
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from backtrail_ingest.envelope import Envelope
from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_ingest.inbox.inbox_rows import Entry
from backtrail_ingest.signals import Signal


@dataclass(frozen=True, slots=True, eq=False)
class Append:
    """Keep this; `synced` is done when it is on disk, in the loop of whoever waits."""

    envelope: Envelope
    loop: asyncio.AbstractEventLoop
    synced: asyncio.Future[None]

    @property
    def size(self) -> int:
        return len(self.envelope.packed)


@dataclass(frozen=True, slots=True)
class Delete:
    """The store has these."""

    first_id: int
    last_id: int
    items: Counter[Signal]
    sizes: Counter[str]


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The store will never have this one."""

    id: int
    items: Counter[Signal]
    sizes: Counter[str]
    reason: str

    @property
    def first_id(self) -> int:
        return self.id

    @property
    def last_id(self) -> int:
        return self.id


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """Out of quarantine: back among those that wait, or away for good. False if it is not there, or damaged."""

    quarantine_id: int
    is_dropped: bool
    done: Future[bool] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """The writer waits for its next batch."""

    max_bytes: int
    batch: Future[list[Entry]] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """A question to the file, by anybody."""

    question: Callable[[InboxFile], object]
    answer: Future[object] = field(default_factory=Future)


class StopTaking:
    """The writer is to end."""


class Close:
    """The last order."""


Order = Append | Delete | Quarantine | Release | Take | Ask | StopTaking | Close


def answer(ask: Ask, put: Callable[[Callable[[InboxFile], object]], object]) -> None:
    try:
        ask.answer.set_result(put(ask.question))
    except Exception as error:
        ask.answer.set_exception(error)


def turn_away(orders: Sequence[Order], refusal: Exception) -> None:
    """Those of them that have not been answered yet; but a writer that waits for a batch goes on waiting."""
    for order in orders:
        match order:
            case Append():
                acknowledge([order], refusal)
            case Release(done=future) | Ask(answer=future) if not future.done():
                future.set_exception(refusal)


def acknowledge(appends: Sequence[Append], error: Exception | None = None) -> None:
    for loop in {append.loop for append in appends}:
        loop.call_soon_threadsafe(_wake, [append.synced for append in appends if append.loop is loop], error)


def _wake(waiting: Sequence[asyncio.Future[None]], error: Exception | None) -> None:
    for synced in waiting:
        if synced.done():  # its client has gone
            continue
        if error is None:
            synced.set_result(None)
        else:
            synced.set_exception(error)
