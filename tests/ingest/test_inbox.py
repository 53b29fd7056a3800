"""The inbox keeps what it acknowledged, in order, until it is told that the store has it."""

import asyncio
import random
import sqlite3
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path

import pytest

from backtrail_ingest import Inbox, Ledger, open_inbox
from backtrail_ingest.envelope import Envelope
from backtrail_ingest.errors import DiskFull, InboxFailing, InboxFull, InboxUnusable
from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_ingest.inbox.inbox_rows import Entry
from backtrail_ingest.signals import LOGS, TRACES
from tests.factories import plain_span, span_id
from tests.ingest.conftest import InboxFolder, envelope_of
from tests.waiting import until

MIB = 1 << 20


async def test_t3_the_acknowledging_connection_syncs_every_commit(inbox_folder: InboxFolder) -> None:
    with inbox_folder.opened() as inbox:
        names = ("journal_mode", "synchronous", "page_size", "max_page_count")
        values = inbox.ask(lambda file: [file.pragma(name) for name in names])

    assert values == ["wal", 2, 65536, (1 << 30) // 65536]


async def test_envelopes_are_handed_out_in_the_order_received(inbox_folder: InboxFolder, ledger: Ledger) -> None:
    envelopes = [envelope_of(plain_span(id_=span_id(n))) for n in range(1, 51)]
    with inbox_folder.opened(ledger) as inbox:
        for envelope in envelopes:
            await inbox.append(envelope)

        assert [entry.envelope for entry in inbox.take(MIB).result(5)] == envelopes


async def test_a_taker_who_waits_gets_what_comes_in(inbox_folder: InboxFolder) -> None:
    envelope = envelope_of(plain_span())
    with inbox_folder.opened() as inbox:
        batch = inbox.take(MIB)
        await asyncio.sleep(0.05)
        assert not batch.done()

        await inbox.append(envelope)

        assert [entry.envelope for entry in batch.result(5)] == [envelope]


async def test_what_was_acknowledged_is_there_after_a_restart_until_it_is_deleted(inbox_folder: InboxFolder) -> None:
    envelopes = [envelope_of(plain_span(id_=span_id(n)), project="p") for n in range(1, 4)]
    with inbox_folder.opened() as inbox:
        for envelope in envelopes:
            await inbox.append(envelope)
    with inbox_folder.opened() as inbox:
        entries = inbox.take(MIB).result(5)
        assert [entry.envelope for entry in entries] == envelopes
        inbox.delete(entries)
    with inbox_folder.opened() as inbox:
        assert inbox.ask(InboxFile.counts).waiting_requests == 0


async def test_a_restart_hands_out_the_batch_in_flight_with_the_same_bounds(inbox_folder: InboxFolder) -> None:
    with inbox_folder.opened() as inbox:
        for n in range(1, 6):
            await inbox.append(envelope_of(plain_span(id_=span_id(n))))
        in_flight = inbox.take(2 * len(envelope_of(plain_span()).request)).result(5)
    with inbox_folder.opened() as inbox:
        again = inbox.take(MIB).result(5)
        rest = inbox.take(MIB).result(5)

    assert again == in_flight
    assert len(in_flight) == 2
    assert len(rest) == 3


async def test_what_memory_cannot_hold_is_read_back_from_the_file_in_order(inbox_folder: InboxFolder) -> None:
    envelopes = [envelope_of(plain_span(id_=span_id(n), attributes={"filler": "x" * 1000})) for n in range(1, 41)]
    taken: list[Entry] = []
    with inbox_folder.opened(held_bytes=8_000) as inbox:
        for envelope in envelopes[:30]:
            await inbox.append(envelope)
        while len(taken) < 20:
            taken += inbox.take(5_000).result(5)
        for envelope in envelopes[30:]:
            await inbox.append(envelope)
        while len(taken) < 40:
            taken += inbox.take(5_000).result(5)

    assert [entry.envelope for entry in taken] == envelopes


async def is_taken(inbox: Inbox, envelope: Envelope) -> bool:
    try:
        await inbox.append(envelope)
    except InboxFull:
        return False
    return True


async def test_a_full_inbox_refuses_and_takes_again_when_there_is_room(inbox_folder: InboxFolder) -> None:
    big = envelope_of(plain_span(attributes={"noise": random.Random(1).randbytes(200_000).hex()}))
    with inbox_folder.opened(max_bytes=2 * MIB) as inbox:
        while await is_taken(inbox, big):
            pass
        with pytest.raises(InboxFull, match="the inbox is full"):
            await inbox.append(big)

        inbox.delete(inbox.take(100 * MIB).result(5))

        await inbox.append(big)


async def test_the_last_of_the_disk_is_kept_free(tmp_path: Path, ledger: Ledger) -> None:
    with (
        open_inbox(tmp_path / "inbox.sqlite", max_bytes=MIB, ledger=ledger, disk_reserve=1 << 60) as inbox,
        pytest.raises(DiskFull, match="bytes left, and 1152921504606846976 are kept in reserve"),
    ):
        await inbox.append(envelope_of(plain_span()))


async def test_after_a_failed_write_a_new_connection_takes_the_next_one_and_nothing_is_lost(
    inbox_folder: InboxFolder, ledger: Ledger
) -> None:
    first, refused, last = (envelope_of(plain_span(name)) for name in ("first", "refused", "last"))
    with inbox_folder.opened(ledger) as inbox:
        await inbox.append(first)
        inbox.ask(lambda file: file.pragma("query_only=1"))
        with pytest.raises(InboxFailing, match="could not be written"):
            await inbox.append(refused)

        await inbox.append(last)

        entries = inbox.take(MIB).result(5)
        assert [entry.envelope for entry in entries] == [first, last]
        inbox.delete(entries)
        until(lambda: ledger.spans.waiting == 0)


async def test_a_request_damaged_on_disk_goes_to_quarantine_and_its_neighbours_are_read(
    inbox_folder: InboxFolder, ledger: Ledger
) -> None:
    envelopes = [envelope_of(plain_span(id_=span_id(n))) for n in range(1, 4)]
    with inbox_folder.opened() as inbox:
        for n in range(1, 4):
            await inbox.append(envelope_of(plain_span(id_=span_id(n))))
    with sqlite3.connect(inbox_folder.path) as connection:
        connection.execute("UPDATE inbox SET sha256 = zeroblob(32) WHERE id = (SELECT id FROM inbox LIMIT 1 OFFSET 1)")
    connection.close()

    with inbox_folder.opened(ledger) as inbox:
        entries = inbox.take(MIB).result(5)
        counts = inbox.ask(InboxFile.counts)

    assert [entry.envelope for entry in entries] == [envelopes[0], envelopes[2]]
    assert (counts.waiting[TRACES], counts.quarantined[TRACES]) == (2, 1)
    assert (ledger.spans.received, ledger.spans.waiting, ledger.spans.quarantined) == (3, 2, 1)


async def test_an_inbox_written_before_there_were_logs_is_read_on(inbox_folder: InboxFolder, ledger: Ledger) -> None:
    envelope = envelope_of(plain_span())
    with inbox_folder.opened() as inbox:
        await inbox.append(envelope)
    with sqlite3.connect(inbox_folder.path) as connection:
        connection.executescript(
            "ALTER TABLE inbox RENAME COLUMN item_count TO span_count; ALTER TABLE inbox DROP COLUMN signal;"
            "ALTER TABLE quarantine RENAME COLUMN item_count TO span_count; ALTER TABLE quarantine DROP COLUMN signal;"
            "PRAGMA user_version=1"
        )
    connection.close()

    with inbox_folder.opened(ledger) as inbox:
        [entry] = inbox.take(MIB).result(5)

    assert entry.envelope == envelope
    assert (ledger.spans.waiting, ledger.log_records.waiting) == (1, 0)


async def test_spans_and_log_records_are_counted_apart(inbox_folder: InboxFolder, ledger: Ledger) -> None:
    spans = envelope_of(plain_span())
    with inbox_folder.opened() as inbox:
        await inbox.append(spans)
        await inbox.append(replace(spans, signal=LOGS, item_count=3))

    with inbox_folder.opened(ledger) as inbox:
        entries = inbox.take(MIB).result(5)
        assert (ledger.spans.waiting, ledger.log_records.waiting) == (1, 3)
        inbox.quarantine(entries[1], "refused")
        inbox.delete(entries[:1])
        until(lambda: ledger.waiting == 0)

    assert (ledger.spans.stored, ledger.log_records.stored, ledger.log_records.quarantined) == (1, 0, 3)


async def test_an_unreadable_file_is_put_aside_and_the_inbox_starts_afresh(inbox_folder: InboxFolder) -> None:
    inbox_folder.path.write_bytes(b"this is no database" * 1000)

    with inbox_folder.opened() as inbox:
        await inbox.append(envelope_of(plain_span()))
        assert "was put aside as" in (inbox.trouble or "")

    assert len(list(inbox_folder.path.parent.glob("inbox.sqlite.damaged-*"))) == 1


def test_an_inbox_of_a_newer_version_is_left_alone(inbox_folder: InboxFolder) -> None:
    with sqlite3.connect(inbox_folder.path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()

    with pytest.raises(InboxUnusable, match="version 99"), inbox_folder.opened():
        pass


async def test_many_appends_share_few_commits(inbox_folder: InboxFolder, ledger: Ledger) -> None:
    with inbox_folder.opened(ledger) as inbox:
        await asyncio.gather(*(inbox.append(envelope_of(plain_span(id_=span_id(n)))) for n in range(1, 201)))
        assert ledger.spans.waiting == 200

        done, _ = wait([inbox.take(MIB)], timeout=5)
        inbox.delete(done.pop().result())
        until(lambda: ledger.spans.stored == 200)


async def test_a_damaged_batch_in_flight_does_not_keep_the_writer_from_what_is_behind_it(
    inbox_folder: InboxFolder, ledger: Ledger
) -> None:
    with inbox_folder.opened() as inbox:
        for n in range(1, 4):
            await inbox.append(envelope_of(plain_span(id_=span_id(n))))
        inbox.take(1).result(5)
    with sqlite3.connect(inbox_folder.path) as connection:
        connection.execute("UPDATE inbox SET sha256 = zeroblob(32) WHERE id IN (SELECT id FROM inbox LIMIT 2)")
    connection.close()

    with inbox_folder.opened(ledger) as inbox:
        batch = inbox.take(1)
        try:
            assert [entry.envelope for entry in batch.result(5)] == [envelope_of(plain_span(id_=span_id(3)))]
        finally:
            inbox.stop_taking()
    assert ledger.spans.quarantined == 2


@pytest.mark.parametrize("flipped", ["size = size - 1", "size = size + (1 << 40)", "received_unix_nano = -1"])
async def test_a_flipped_bit_beside_the_payload_sends_one_request_to_quarantine(
    inbox_folder: InboxFolder, ledger: Ledger, flipped: str
) -> None:
    with inbox_folder.opened() as inbox:
        for n in (1, 2):
            await inbox.append(envelope_of(plain_span(id_=span_id(n))))
    with sqlite3.connect(inbox_folder.path) as connection:
        connection.execute(f"UPDATE inbox SET {flipped} WHERE id = (SELECT min(id) FROM inbox)")
    connection.close()

    with inbox_folder.opened(ledger) as inbox:
        batch = inbox.take(MIB)
        try:
            assert [entry.envelope for entry in batch.result(5)] == [envelope_of(plain_span(id_=span_id(2)))]
        finally:
            inbox.stop_taking()
    assert (ledger.spans.waiting, ledger.spans.quarantined) == (1, 1)
