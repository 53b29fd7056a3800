"""A run that is open lets the server hear of it, once in a while and cheaply, however long its one step takes."""

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import backtrail
from backtrail import RunContext, Sampling, inject
from backtrail._delivery.delivery import OtlpDelivery
from backtrail._delivery.heartbeat import Heartbeat
from backtrail._delivery.losses import Losses
from backtrail._delivery.processor import Processor
from backtrail._delivery.sampling import Sampler
from backtrail._runs.scope import current_position
from backtrail._spans.recorder import Recorder, SpanSink, current_recorder, set_current_recorder
from backtrail.testing import capture_spans
from tests.tracer.receiver import Receiver, receiving
from tests.waiting import until

HEARTBEAT = 0.3


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def processor(receiver: Receiver) -> Iterator[Processor]:
    processor = Processor(OtlpDelivery(f"{receiver.url}/v1/traces", {}), interval=0.02, heartbeat=HEARTBEAT)
    set_current_recorder(Recorder(sink=processor))
    yield processor
    set_current_recorder(Recorder())
    processor.shutdown(1)


def beats(receiver: Receiver) -> list[Span]:
    return [span for span in receiver.spans if span.name == "process"]


@backtrail.step
def long_step(receiver: Receiver) -> None:
    until(lambda: len(beats(receiver)) >= 3)


def test_a_run_in_which_one_step_takes_long_is_heard_of(receiver: Receiver) -> None:
    @backtrail.run
    def main() -> str:
        long_step(receiver)
        return backtrail.get_current_run_context().run.run_id

    run_id = main()
    first, second, third = beats(receiver)[:3]

    assert {span.trace_id.hex() for span in beats(receiver)} == {run_id}
    assert (first.span_id, first.start_time_unix_nano) == (second.span_id, second.start_time_unix_nano)
    assert first.end_time_unix_nano < second.end_time_unix_nano < third.end_time_unix_nano
    assert current_recorder().flush(5)
    (root,) = [span for span in receiver.spans if span.name == "main" and not span.parent_span_id]
    assert first.parent_span_id == root.span_id
    assert first.ByteSize() < 300


def test_a_run_that_is_over_is_silent_and_so_is_one_that_is_recorded_elsewhere(receiver: Receiver) -> None:
    backtrail.run(name="over")(lambda: None)()
    with capture_spans() as spans:

        @backtrail.run
        def elsewhere() -> None:
            time.sleep(3 * HEARTBEAT)

        elsewhere()

    assert beats(receiver) == []
    assert spans.of_kind("process") == []


def test_a_run_whose_spans_pass_another_sink_first_is_heard_of(receiver: Receiver) -> None:
    inner = current_recorder().sink
    assert inner is not None
    passing: Any = Passing(inner)
    set_current_recorder(Recorder(sink=passing))

    backtrail.run(name="main")(long_step)(receiver)

    assert len(beats(receiver)) >= 3


class Passing:
    """A sink that stands before another, as one does that holds spans back."""

    def __init__(self, inner: SpanSink) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


def test_a_run_that_came_from_another_process_is_heard_of_here_as_well(receiver: Receiver) -> None:
    headers: dict[str, str] = {}

    @backtrail.run
    def caller() -> str:
        inject(headers)
        return backtrail.get_current_run_context().run.run_id

    run_id = caller()
    with backtrail.extract(headers):
        long_step(receiver)

    assert {span.trace_id.hex() for span in beats(receiver)} == {run_id}


def test_a_second_part_of_a_run_is_heard_of_when_the_first_is_over(receiver: Receiver) -> None:
    headers: dict[str, str] = {}
    backtrail.run(name="caller")(lambda: inject(headers))()

    with backtrail.extract(headers):
        known_to_a_task = current_position.get()
    with backtrail.extract(headers):
        long_step(receiver)

    assert known_to_a_task is not None


def test_a_run_that_may_still_be_dropped_is_not_heard_of_until_it_is_sent(receiver: Receiver) -> None:
    sink = current_recorder().sink
    assert sink is not None
    backtrail.run(name="before it")(lambda: None)()
    sampler = Sampler(Sampling(rate=0.0), sink)
    set_current_recorder(Recorder(sink=sampler, sampler=sampler))

    @backtrail.run
    def held_back_at_first(ctx: RunContext) -> None:
        time.sleep(3 * HEARTBEAT)
        sampler.keep(int(ctx.run.run_id, 16))
        kept = time.time_ns()
        long_step(receiver)
        assert beats(receiver)[0].end_time_unix_nano > kept

    held_back_at_first()


def test_runs_that_start_in_other_threads_are_no_trouble(processor: Processor) -> None:
    set_current_recorder(Recorder())
    heartbeat = Heartbeat(processor, Losses(), 1e-9)
    end = time.monotonic() + 1.5
    quick = backtrail.run(name="quick")(lambda: time.sleep(0.001))

    def start_runs() -> None:
        while time.monotonic() < end:
            quick()

    switched_after = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=start_runs) for _ in range(20)]
    try:
        for thread in threads:
            thread.start()
        while time.monotonic() < end:
            heartbeat.beat()
    finally:
        sys.setswitchinterval(switched_after)
        for thread in threads:
            thread.join()


def test_nothing_is_said_to_a_server_that_is_away(receiver: Receiver) -> None:
    receiver.answers = [503] * 100_000

    back = 0

    @backtrail.run
    def main() -> None:
        nonlocal back
        time.sleep(4 * HEARTBEAT)
        back = time.time_ns()
        receiver.answers.clear()
        long_step(receiver)

    main()

    assert all(beat.end_time_unix_nano > back for beat in beats(receiver)), "none had piled up"
