"""State of a run that the SDK really recorded: without any one of its spans it is right or refused."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import backtrail
from backtrail import StepKind, get_current_agent_context, get_current_run_context
from backtrail._delivery.processor import Processor
from backtrail._spans.recorder import Recorder, current_recorder, set_current_recorder
from backtrail_query.errors import CheckpointGap
from backtrail_query.evidence import gather_evidence
from backtrail_query.fold import State, state_at
from backtrail_query.records import RunRecords, read_records
from backtrail_store import Store
from tests.factories import batch_of, otlp_request
from tests.tracer.receiver import receiving


@backtrail.step(kind=StepKind.TOOL_CALL)
async def work(number: int) -> int:
    run = get_current_run_context()
    run.set_state("count", run.get_state("count", default=0) + number)
    await asyncio.sleep(0.005 * number)
    run.set_state("log", [*run.get_state("log", default=[]), number])
    if number == 2:
        raise ValueError("two")
    return number


@backtrail.agent(name="worker")
async def worker() -> None:
    get_current_agent_context().set_state("mine", {"x": 1})
    await asyncio.gather(work(1), work(2), work(3), return_exceptions=True)
    get_current_agent_context().set_state("mine", {"x": 1, "y": 2})


@backtrail.run
async def handle(query: str) -> None:
    get_current_run_context().set_state("query", query)
    await worker()
    await get_current_run_context().checkpoint("middle")
    await work(4)
    get_current_run_context().set_state("done", True)


@pytest.fixture(scope="module")
def recorded_spans() -> Iterator[list[Span]]:
    """As they left the process, without the pending rows of what ended."""
    with receiving() as receiver:
        backtrail.configure(endpoint=receiver.url, durability="exit")
        asyncio.run(handle("hello"))
        current_recorder().flush(5)
        recorder = current_recorder()
        yield [span for span in receiver.spans if not any(a.key == "backtrail.pending.of" for a in span.attributes)]
        set_current_recorder(Recorder())  # later tests would record for a receiver that is gone
        assert isinstance(recorder.sink, Processor)
        recorder.sink.shutdown()


def records_of(store: Store, spans: list[Span]) -> RunRecords:
    store.insert(batch_of(otlp_request(*spans)))
    return read_records(store.reader.get_trace("default", spans[0].trace_id.hex()))


def test_the_folded_root_is_the_one_the_sdk_reckoned(store: Store, recorded_spans: list[Span]) -> None:
    records = records_of(store, recorded_spans)
    evidence = gather_evidence(records)

    for snapshot in records.snapshots:
        assert state_at(evidence, snapshot.seq, "actual").root == snapshot.root
    assert state_at(evidence, records.seq_max, "actual").values["run"] == {
        "query": "hello",
        "count": 10,
        "log": [1, 2, 3, 4],
        "done": True,
    }


def test_without_any_one_span_the_state_is_right_or_refused(store: Store, recorded_spans: list[Span]) -> None:
    records = records_of(store, recorded_spans)
    everything = gather_evidence(records)
    told = 0
    for lost in range(len(everything)):
        rest = everything[:lost] + everything[lost + 1 :]
        for seq in range(records.seq_max + 1):
            state = state_or_gap(rest, seq)
            if isinstance(state, State):
                told += 1
                assert state.values == state_at(everything, seq, "actual").values
    assert told > records.seq_max  # refusing everything would be right too, and useless


def state_or_gap(evidence: list[Any], seq: int) -> State | CheckpointGap:
    try:
        return state_at(evidence, seq, "actual")
    except CheckpointGap as gap:
        return gap
