"""What is asked of the inbox's thread, and how it answers those who wait elsewhere.

admission, writer → **inbox_orders** → inbox → inbox_file
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from backtrail_ingest.envelope import Envelope
from backtrail_ingest.inbox_file import Entry, InboxFile
from backtrail_ingest.signals import Signal


@dataclass(frozen=True, slots=True, eq=False)
class Append:
    """Keep this; `synced` is done when it is on disk, in the loop of whoever waits."""

    envelope: Envelope
    loop: asyncio.AbstractEventLoop
    synced: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class Delete:
    """The store has these."""

    first_id: int
    last_id: int
    items: Counter[Signal]


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The store will never have this one."""

    id: int
    items: Counter[Signal]
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """The writer waits for its next batch."""

    max_bytes: int
    batch: Future[list[Entry]]


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """A question to the file, by anybody."""

    question: Callable[[InboxFile], object]
    answer: Future[object]


class StopTaking:
    """The writer is to end."""


class Close:
    """The last order."""


Order = Append | Delete | Quarantine | Take | Ask | StopTaking | Close


def answer(ask: Ask, file: InboxFile) -> None:
    try:
        ask.answer.set_result(ask.question(file))
    except sqlite3.Error as error:
        ask.answer.set_exception(error)


def acknowledge(appends: Sequence[Append], error: Exception | None) -> None:
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
