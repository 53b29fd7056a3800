"""Empties the inbox into the store: one insert at a time for each signal, in the order received.

    inbox → **writer** → store.insert → otlp_in → spans, contents
                                      → otlp_logs_in → logs, contents

While one insert runs the next batch grows: small when idle, large under load. Nothing leaves the inbox before its
insert returned; nothing is dropped after any number of attempts.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from typing import Protocol

from backtrail_ingest.envelope import Envelope
from backtrail_ingest.errors import Refusal
from backtrail_ingest.inbox.inbox import Inbox
from backtrail_ingest.inbox.inbox_rows import Entry
from backtrail_ingest.requests.flatten import rewrite
from backtrail_ingest.requests.limits import NO_LIMITS
from backtrail_ingest.signals import SIGNALS, Signal
from backtrail_store import Batch
from backtrail_store.errors import BatchRefused

logger = logging.getLogger(__name__)

BATCH_BYTES = 64 << 20  # large: every part that an insert leaves behind is merged several times
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0
CLOSING_SECONDS = 5


class TakesBatches(Protocol):
    """All that the writer needs of a store. Raises BatchRefused for good, anything else for the moment."""

    def insert(self, batch: Batch) -> None: ...


class _Closing(Exception):
    """The process ends; what is not in the store stays in the inbox."""


class Writer:
    def __init__(self, inbox: Inbox, store: TakesBatches, *, batch_bytes: int = BATCH_BYTES) -> None:
        self._inbox = inbox
        self._store = store
        self._batch_bytes = batch_bytes
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self.trouble: str | None = None

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Waits for the insert in flight, no longer than the process may take to end."""
        self._closing.set()
        self._inbox.stop_taking()
        self._thread.join(CLOSING_SECONDS)

    def _work(self) -> None:
        with suppress(_Closing):
            while entries := self._inbox.take(self._batch_bytes).result():
                self._write(entries)

    def _write(self, entries: Sequence[Entry]) -> None:
        """Halves what the store refuses until the one request is found that it does not take."""
        try:
            self._insert(entries)
        except BatchRefused as refusal:
            if len(entries) == 1:
                self._write_mended(entries[0], refusal)
                return
            middle = len(entries) // 2
            self._write(entries[:middle])
            self._write(entries[middle:])
        else:
            self._inbox.delete(entries)

    def _write_mended(self, entry: Entry, refusal: BatchRefused) -> None:
        """Without the fields that are of another type than OTLP's, if that is what was wrong; else to quarantine."""
        try:
            if (envelope := mended(entry.envelope)) is None:
                raise refusal
            self._insert([replace(entry, envelope=envelope)])
        except BatchRefused:
            logger.error("request %d goes to quarantine: %s", entry.id, refusal)
            self._inbox.quarantine(entry, str(refusal))
        else:
            self._inbox.delete([entry])

    def _insert(self, entries: Sequence[Entry]) -> None:
        """Tries until the store has it or refuses it for good. Other faults wait here too: no span is dropped."""
        wait = FIRST_WAIT
        while True:
            try:
                for batch in batches_of(entries):
                    self._store.insert(batch)
            except BatchRefused:
                raise
            except Exception as error:
                self.trouble = f"the store does not take spans: {error}"
                logger.warning("%s (next attempt in %.1f s)", self.trouble, wait)
                if self._closing.wait(wait):
                    raise _Closing from error
                wait = min(wait * 2, LONGEST_WAIT)
            else:
                self.trouble = None
                return


def mended(envelope: Envelope) -> Envelope | None:
    """The same spans, taken apart and written anew; None if not all of them can be saved that way.

    A reader of protobuf takes a field of the wrong type for one it does not know, and so does the look at the door;
    ClickHouse refuses the message. To find them at the door would cost as much as everything else that is done there.
    """
    try:
        request = rewrite(envelope.request, NO_LIMITS, envelope.signal, is_thorough=True)
    except Refusal:
        return None
    except Exception:  # the writer writes for everybody: nobody's request may end it
        logger.exception("a request that the store refuses cannot be taken apart")
        return None
    if request.item_count != envelope.item_count:
        return None
    return Envelope.around(request, project=envelope.project, received_unix_nano=envelope.received_unix_nano)


def batches_of(entries: Sequence[Entry]) -> Iterator[Batch]:
    """One for the spans, one for the log records, whichever there are."""
    for signal in SIGNALS.values():
        if chosen := [entry for entry in entries if entry.envelope.signal == signal]:
            yield batch_of(signal, chosen)


def batch_of(signal: Signal, entries: Sequence[Entry]) -> Batch:
    """The same entries make the same bytes and the same token, in this process's life and in the next."""
    parts: list[bytes] = []
    token = sha256()
    for entry in entries:
        head = entry.envelope.head
        parts += (head, entry.envelope.request)
        token.update(head + entry.envelope.digest)  # the digest stands for the request, which is long
    return Batch(parts, token.hexdigest(), signal.name)


@asynccontextmanager
async def running_writer(inbox: Inbox, store: TakesBatches, *, batch_bytes: int = BATCH_BYTES) -> AsyncIterator[Writer]:
    writer = Writer(inbox, store, batch_bytes=batch_bytes)
    writer.start()
    try:
        yield writer
    finally:
        await asyncio.to_thread(writer.close)
