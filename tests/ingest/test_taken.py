"""A request that comes again is kept once as long as the first one is safe, and again when it is not."""

import sqlite3

import pytest

from backtrail_ingest import Admission, Inbox, Ledger
from backtrail_ingest.inbox.taken import REMEMBERED_REQUESTS, TakenRequests
from tests.factories import otlp_request, plain_span, span_id
from tests.ingest.conftest import InboxFolder, envelope_of
from tests.waiting import until

MIB = 1 << 20
BODY = otlp_request(plain_span()).SerializeToString()


def admission_of(inbox: Inbox, ledger: Ledger) -> Admission:
    return Admission(inbox, ledger, max_request_bytes=MIB, max_bytes_in_flight=MIB, retry_after=2)


async def test_a_request_in_quarantine_is_not_kept_twice_and_is_kept_anew_when_it_was_dropped(
    inbox_folder: InboxFolder, ledger: Ledger
) -> None:
    with inbox_folder.opened(ledger) as inbox:
        admission = admission_of(inbox, ledger)
        await admission.receive("default", BODY)
        [entry] = inbox.take(MIB).result(5)
        inbox.quarantine(entry, "refused")
        until(lambda: ledger.spans.quarantined == 1)

        await admission.receive("default", BODY)
        assert (ledger.spans.duplicates, ledger.spans.waiting) == (1, 0)

        assert inbox.drop(1)
        await admission.receive("default", BODY)
        assert (ledger.spans.duplicates, ledger.spans.waiting) == (1, 1)


async def test_a_request_that_was_damaged_on_disk_is_kept_when_it_comes_again(
    inbox_folder: InboxFolder, ledger: Ledger
) -> None:
    with inbox_folder.opened(ledger, held_bytes=0) as inbox:
        admission = admission_of(inbox, ledger)
        await admission.receive("default", BODY)
        await admission.receive("default", otlp_request(plain_span(id_=span_id(9))).SerializeToString())
        inbox.ask(
            lambda file: file._connection.execute("UPDATE inbox SET packed = x'00' WHERE id < 2000000").fetchall()
        )
        inbox.take(MIB).result(5)
        until(lambda: ledger.spans.quarantined == 1)

        await admission.receive("default", BODY)

        assert (ledger.spans.duplicates, ledger.spans.quarantined, ledger.spans.waiting) == (0, 1, 2)


async def test_after_a_fault_of_the_disk_nothing_is_taken_for_safe(inbox_folder: InboxFolder, ledger: Ledger) -> None:
    with inbox_folder.opened(ledger) as inbox:
        admission = admission_of(inbox, ledger)
        await admission.receive("default", BODY)
        with sqlite3.connect(inbox_folder.path) as other:
            other.execute("DELETE FROM inbox")
        other.close()
        inbox.ask(lambda file: file.pragma("query_only=1"))
        with pytest.raises(Exception, match="could not be written"):
            await inbox.append(envelope_of(plain_span("refused")))
        assert ledger.spans.rejected["lost to damage"] == 1

        await admission.receive("default", BODY)

        assert (ledger.spans.duplicates, ledger.spans.waiting) == (0, 1)


def test_no_more_than_the_last_requests_are_remembered() -> None:
    taken = TakenRequests()
    envelopes = [envelope_of(plain_span(id_=span_id(number))) for number in range(1, REMEMBERED_REQUESTS + 2)]
    for envelope in envelopes:
        taken.add(envelope)

    assert envelopes[0] not in taken
    assert all(envelope in taken for envelope in envelopes[1:])
