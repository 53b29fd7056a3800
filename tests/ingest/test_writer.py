"""From the inbox into a real store: once, whole, in order, and nothing is dropped."""

from backtrail_ingest import Ledger, running_writer
from backtrail_ingest.envelope import Envelope
from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_ingest.requests.inspected import InspectedRequest
from backtrail_ingest.signals import TRACES
from backtrail_ingest.writer import batch_of
from backtrail_store import Batch, Store, StoreUnavailable
from tests.factories import TRACE_ID, plain_span, span_id
from tests.ingest.conftest import RECEIVED, InboxFolder, envelope_of
from tests.waiting import until

MIB = 1 << 20


def stored_names(store: Store) -> list[str]:
    return [span.name for span in store.reader.get_trace("default", TRACE_ID.hex())]


def poison(number: int) -> Envelope:
    """Passes no door of ours; stands for whatever the engine will refuse some day."""
    garbage = InspectedRequest(body=bytes([0xFF, number]), item_count=1)
    return Envelope.around(garbage, project="default", received_unix_nano=RECEIVED)


async def test_what_the_inbox_holds_is_read_from_the_store(
    inbox_folder: InboxFolder, ledger: Ledger, store: Store
) -> None:
    with inbox_folder.opened(ledger) as inbox:
        async with running_writer(inbox, store):
            await inbox.append(envelope_of(plain_span("first", id_=span_id(1)), plain_span("second", id_=span_id(2))))
            until(lambda: ledger.spans.waiting == 0)
        assert inbox.ask(InboxFile.counts).waiting_requests == 0

    assert sorted(stored_names(store)) == ["first", "second"]


async def test_a_crash_between_insert_and_delete_stores_nothing_twice(
    inbox_folder: InboxFolder, ledger: Ledger, store: Store
) -> None:
    with inbox_folder.opened() as inbox:
        for n in range(1, 11):
            await inbox.append(envelope_of(plain_span(f"span {n}", id_=span_id(n))))
        inserted = batch_of(TRACES, inbox.take(1500).result(5))
        store.insert(inserted)

    with inbox_folder.opened() as inbox:
        assert batch_of(TRACES, inbox.take(MIB).result(5)).token == inserted.token
    with inbox_folder.opened(ledger) as inbox:
        async with running_writer(inbox, store):
            until(lambda: ledger.spans.waiting == 0)

    assert sorted(stored_names(store)) == sorted(f"span {n}" for n in range(1, 11))


async def test_one_request_the_store_refuses_goes_to_quarantine_and_all_others_are_stored(
    inbox_folder: InboxFolder, ledger: Ledger, store: Store
) -> None:
    with inbox_folder.opened(ledger) as inbox:
        for n in range(1, 12):
            await inbox.append(poison(n) if n == 5 else envelope_of(plain_span(f"span {n}", id_=span_id(n))))
        async with running_writer(inbox, store):
            until(lambda: ledger.spans.waiting == 0)
        counts = inbox.ask(InboxFile.counts)
        reasons = inbox.ask(InboxFile.quarantine_reasons)

    assert sorted(stored_names(store)) == sorted(f"span {n}" for n in range(1, 12) if n != 5)
    assert (counts.waiting_requests, counts.quarantined_requests, counts.quarantined[TRACES]) == (0, 1, 1)
    assert len(reasons) == 1
    assert reasons[0]
    assert (ledger.spans.received, ledger.spans.stored, ledger.spans.quarantined) == (11, 10, 1)


class AwayStore:
    """A real store behind a door that stays shut for the first attempts."""

    def __init__(self, store: Store, *, refusals: int) -> None:
        self._store = store
        self.refusals = refusals

    def insert(self, batch: Batch) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable("the store is away")
        self._store.insert(batch)


async def test_a_store_that_is_away_gets_everything_when_it_is_back(
    inbox_folder: InboxFolder, ledger: Ledger, store: Store
) -> None:
    with inbox_folder.opened(ledger) as inbox:
        async with running_writer(inbox, AwayStore(store, refusals=2)) as writer:
            await inbox.append(envelope_of(plain_span("patient")))
            until(lambda: writer.trouble == "the store does not take spans: the store is away")
            until(lambda: ledger.spans.waiting == 0)
            assert writer.trouble is None

    assert stored_names(store) == ["patient"]


async def test_a_writer_that_ends_while_the_store_is_away_leaves_the_spans_in_the_inbox(
    inbox_folder: InboxFolder, ledger: Ledger, store: Store
) -> None:
    with inbox_folder.opened(ledger) as inbox:
        async with running_writer(inbox, AwayStore(store, refusals=1000)) as writer:
            await inbox.append(envelope_of(plain_span()))
            until(lambda: writer.trouble is not None)
    with inbox_folder.opened() as inbox:
        assert inbox.ask(InboxFile.counts).waiting[TRACES] == 1
