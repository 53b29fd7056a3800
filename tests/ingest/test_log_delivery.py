"""Spans and log records on one way: whatever breaks between them, each is stored once and accounted for."""

from collections.abc import Sequence

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from backtrail_ingest import Admission, Ledger, running_writer
from backtrail_ingest.envelope import Envelope
from backtrail_ingest.errors import UndecodableRequest
from backtrail_ingest.requests.inspected import InspectedRequest
from backtrail_ingest.signals import LOGS
from backtrail_ingest.writer import batches_of
from backtrail_store import Batch, LogFilter, Store, StoreUnavailable
from tests.factories import TRACE_ID, inspected, log_record, logs_request, otlp_request, plain_span, span_id
from tests.ingest.conftest import RECEIVED, InboxFolder, envelope_of
from tests.waiting import until

MIB = 1 << 20
TRACE = TRACE_ID.hex()


def logs_envelope(*records: LogRecord) -> Envelope:
    body = logs_request(*records).SerializeToString()
    return Envelope.around(inspected(body, LOGS), project="default", received_unix_nano=RECEIVED)


def mixed() -> list[Envelope]:
    """Spans and log records by turns."""
    pairs = [(envelope_of(plain_span(f"span {n}", id_=span_id(n))), logs_envelope(log_record(n))) for n in range(1, 6)]
    return [envelope for pair in pairs for envelope in pair]


def stored(store: Store) -> tuple[Sequence[str], Sequence[object]]:
    spans = store.reader.get_trace("default", TRACE)
    records = store.log_reader.find_logs("default", LogFilter(limit=1000))
    return sorted(span.name for span in spans), sorted(record.body for record in records)  # type: ignore[type-var]


EVERYTHING = ([f"span {n}" for n in range(1, 6)], [1, 2, 3, 4, 5])


class AwayOnce:
    """A store that is away when the first log records come, after it has taken the spans beside them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.refused: list[Batch] = []

    def insert(self, batch: Batch) -> None:
        if batch.signal == "logs" and not self.refused:
            self.refused.append(batch)
            raise StoreUnavailable("away for a moment")
        self._store.insert(batch)


async def test_a_store_that_goes_away_between_spans_and_records_gets_each_once(
    inbox_folder: InboxFolder, ledger: Ledger, store: Store
) -> None:
    away = AwayOnce(store)
    with inbox_folder.opened(ledger) as inbox:
        for envelope in mixed():
            await inbox.append(envelope)
        async with running_writer(inbox, away):
            until(lambda: ledger.waiting == 0)

    assert away.refused
    assert stored(store) == EVERYTHING
    assert (ledger.spans.stored, ledger.log_records.stored) == (5, 5)


async def test_t11_a_crash_between_the_insert_of_spans_and_that_of_records_stores_each_once(
    inbox_folder: InboxFolder, ledger: Ledger, store: Store
) -> None:
    with inbox_folder.opened() as inbox:
        for envelope in mixed():
            await inbox.append(envelope)
        first, second = batches_of(inbox.take(MIB).result(5))
        store.insert(first)

    with inbox_folder.opened() as inbox:
        again = list(batches_of(inbox.take(MIB).result(5)))
        assert [batch.token for batch in again] == [first.token, second.token]
    with inbox_folder.opened(ledger) as inbox:
        async with running_writer(inbox, store):
            until(lambda: ledger.waiting == 0)

    assert stored(store) == EVERYTHING


async def test_t9_log_records_the_store_refuses_go_to_quarantine_and_all_others_are_stored(
    inbox_folder: InboxFolder, ledger: Ledger, store: Store
) -> None:
    garbage = InspectedRequest(body=b"\xff\x01", item_count=7, signal=LOGS)
    poison = Envelope.around(garbage, project="default", received_unix_nano=RECEIVED)
    envelopes = mixed()
    with inbox_folder.opened(ledger) as inbox:
        for envelope in [*envelopes[:5], poison, *envelopes[5:]]:
            await inbox.append(envelope)
        async with running_writer(inbox, store):
            until(lambda: ledger.waiting == 0)

    assert stored(store) == EVERYTHING
    assert (ledger.spans.quarantined, ledger.log_records.quarantined, ledger.log_records.stored) == (0, 7, 5)


async def test_every_record_is_stored_a_duplicate_or_refused(
    inbox_folder: InboxFolder, ledger: Ledger, store: Store
) -> None:
    request = logs_request(log_record(1), log_record({"content": 2})).SerializeToString()
    with inbox_folder.opened(ledger) as inbox:
        admission = Admission(inbox, ledger, max_request_bytes=MIB, max_bytes_in_flight=MIB, retry_after=2)
        async with running_writer(inbox, store):
            for _ in range(3):
                receipt = await admission.receive("default", request, LOGS)
                assert receipt.rejected_items == 0
            with pytest.raises(UndecodableRequest):
                await admission.receive("default", otlp_request(plain_span()).SerializeToString(), LOGS)
            until(lambda: ledger.waiting == 0)

    counts = ledger.log_records
    assert (counts.received, counts.stored, counts.duplicates, counts.rejected.total()) == (6, 2, 4, 0)
    assert ledger.spans.received == 0
