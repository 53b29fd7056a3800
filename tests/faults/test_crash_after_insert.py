"""T10 and T11: a batch that is written again, whole or in other pieces, is stored once, with its texts and its cost."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry

from backtrail_ingest import Ledger, running_writer
from backtrail_ingest.writer import batches_of
from backtrail_store import Batch, RunFilter, Store, StoreError, StoreUnavailable, open_store
from tests.factories import TRACE_ID, Value, run_span, step_span
from tests.ingest.conftest import InboxFolder, envelope_of
from tests.waiting import until

USAGE: dict[str, Value] = {
    "backtrail.step.kind": "llm",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
}
STEPS = 4


def trace_of(round_: int) -> bytes:
    return TRACE_ID[:-2] + (round_ + 1).to_bytes(2, "big")


async def append_run(folder: InboxFolder, round_: int, *, taken: int) -> list[Batch]:
    """A run of a few requests; what its first batch would be, which then is in flight."""
    trace_id = trace_of(round_)
    with folder.opened() as inbox:
        await inbox.append(envelope_of(run_span(trace_id=trace_id)))
        for number in range(1, STEPS + 1):
            payload: dict[str, Value] = {**USAGE, "gen_ai.tool.call.result": f"result {number} of {round_}"}
            await inbox.append(envelope_of(step_span(number=number, attributes=payload, trace_id=trace_id)))
        return list(batches_of(inbox.take(taken).result(5)))


async def write_the_rest(folder: InboxFolder, store: Store, *, batch_bytes: int) -> None:
    with folder.opened(ledger := Ledger(CollectorRegistry())) as inbox:
        async with running_writer(inbox, store, batch_bytes=batch_bytes):
            until(lambda: ledger.spans.waiting == 0)


def assert_stored_once(store: Store, rounds: int) -> None:
    runs = store.reader.find_runs("default", RunFilter(limit=rounds + 1))
    assert len(runs) == rounds
    for run in runs:
        assert (run.span_count, run.input_tokens) == (1 + STEPS, 1000 * STEPS)
        assert run.cost_usd == Decimal("0.00015") * STEPS
    for round_ in range(rounds):
        steps = store.reader.get_trace("default", trace_of(round_).hex())[1:]
        results = [span.attributes["gen_ai.tool.call.result"] for span in steps]
        assert results == [f"result {number} of {round_}" for number in range(1, STEPS + 1)]


@pytest.mark.parametrize("rounds", [8, pytest.param(100, marks=[pytest.mark.nightly, pytest.mark.timeout(900)])])
async def test_t11_a_crash_between_insert_and_delete_whatever_the_next_batches_are_stores_each_span_once(
    inbox_folder: InboxFolder, store: Store, rounds: int
) -> None:
    for round_ in range(rounds):
        for batch in await append_run(inbox_folder, round_, taken=1 if round_ % 3 == 0 else 1 << 20):
            store.insert(batch)
        if round_ % 2:
            with inbox_folder.opened() as inbox:  # other boundaries: another token
                inbox.ask(lambda file: file._connection.execute("DELETE FROM in_flight").fetchall())
        await write_the_rest(inbox_folder, store, batch_bytes=1500 if round_ % 4 > 1 else 1 << 20)

    assert_stored_once(store, rounds)


@pytest.fixture
def own_store(store_dsn: str) -> Iterator[Store]:
    with open_store(store_dsn) as store:
        store.migrate()
        yield store


@pytest.mark.parametrize("table", ["contents", "spans"])
async def test_t11_one_view_fails_after_the_other_and_the_next_attempt_fills_what_is_missing(
    inbox_folder: InboxFolder, own_store: Store, table: str
) -> None:
    [batch] = await append_run(inbox_folder, 0, taken=1 << 20)
    with own_store._writers.borrow() as client:
        client.command(f"RENAME TABLE {table} TO away")
    with pytest.raises(StoreError):
        own_store.insert(batch)
    with own_store._writers.borrow() as client:
        client.command(f"RENAME TABLE away TO {table}")

    await write_the_rest(inbox_folder, own_store, batch_bytes=1 << 20)

    assert_stored_once(own_store, 1)


class LostReply:
    """The store takes every batch, and its first answers do not arrive."""

    def __init__(self, store: Store, *, losses: int) -> None:
        self._store = store
        self._losses = losses

    def insert(self, batch: Batch) -> None:
        self._store.insert(batch)
        if self._losses:
            self._losses -= 1
            raise StoreUnavailable("the connection was closed before the answer came")


async def test_t10_an_insert_whose_reply_is_lost_is_tried_again_and_adds_nothing(
    inbox_folder: InboxFolder, store: Store
) -> None:
    await append_run(inbox_folder, 0, taken=1 << 20)
    ledger = Ledger(CollectorRegistry())
    with inbox_folder.opened(ledger) as inbox:
        async with running_writer(inbox, LostReply(store, losses=2)):
            until(lambda: ledger.spans.waiting == 0)

    with store._readers.borrow() as client:
        rows = client.query("SELECT count(), (SELECT count() FROM contents) FROM spans").result_rows
    assert rows == [(1 + STEPS, STEPS)]
    assert ledger.spans.stored == 1 + STEPS
