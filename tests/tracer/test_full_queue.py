"""What waits for a server that is away is bounded, in memory as measured; what does not fit is counted and told."""

import gc
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import backtrail
from backtrail._delivery import queue as _queue
from backtrail._delivery.delivery import OtlpDelivery
from backtrail._delivery.processor import Processor
from backtrail._spans.recorder import Recorder, current_recorder, set_current_recorder
from tests.tracer.receiver import Receiver, receiving
from tests.waiting import until

AWAY = "http://127.0.0.1:1/v1/traces"
MIB = 1 << 20


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@contextmanager
def recording(url: str, **options: Any) -> Iterator[Processor]:
    processor = Processor(OtlpDelivery(url, {}), **options)
    set_current_recorder(Recorder(sink=processor))
    yield processor
    set_current_recorder(Recorder())
    processor.shutdown(0.1)


@backtrail.step
def echo(text: str) -> str:
    return text


@backtrail.run
def echoing(times: int, length: int) -> str:
    for number in range(times):
        echo(f"{number:06}" + "x" * length)
    return backtrail.get_current_run_context().run.run_id


def lost_in_records(receiver: Receiver) -> dict[str, int]:
    """By run id, what the last record of the process says."""
    lost = {}
    for span in receiver.spans:
        values = {one.key: one.value for one in span.attributes}
        if values["backtrail.kind"].string_value == "process":
            assert span.parent_span_id
            lost[span.trace_id.hex()] = values["backtrail.run.lost"].int_value
    return lost


def is_whole(span: Span) -> bool:
    return all(one.key != "backtrail.pending.of" for one in span.attributes)


@pytest.mark.parametrize(("times", "length"), [(6_000, 0), (1_000, 10_000)])
def test_memory_stays_within_its_bound_while_the_server_is_away(times: int, length: int) -> None:
    bound = 4 * MIB
    with recording(AWAY, max_queue_bytes=bound) as processor:
        echoing(10, 0)
        gc.collect()
        tracemalloc.start()
        run_id = echoing(times, length)
        until(lambda: not processor._queue.has_spans)
        gc.collect()
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert processor.lost_of(int(run_id, 16)) > 0, "more was recorded than fits"
        assert held < bound * 1.1
        # Beside what waits there is one batch in the making: as spans, as messages, as bytes.
        assert peak < bound + 16 * MIB


def test_nothing_is_held_of_a_step_that_nobody_ends() -> None:
    with recording(AWAY) as processor:

        @backtrail.run
        def careless() -> None:
            agent = backtrail.get_current_run_context().start_agent("forgetful")
            for number in range(500):
                agent.start_step(f"never ended {number}")

        careless()
        assert processor._steps
        until(lambda: not processor._steps)

        processor.shutdown(0.1)
        careless()
        assert not processor._steps


def test_the_server_is_told_of_what_was_lost_when_it_is_back(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    with recording(f"{receiver.url}/v1/traces", max_queue_bytes=200_000) as processor:
        run_id = echoing(500, 0)
        lost = processor.lost_of(int(run_id, 16))
        receiver.may_answer.set()
        assert not processor.flush(10)

        until(lambda: lost_in_records(receiver).get(run_id) == lost)
        assert receiver.names().count("echo") < 500
        (run,) = [span for span in receiver.spans if span.name == "echoing" and is_whole(span)]
        ending = {one.key: one.value for one in run.attributes}
        assert 0 < ending["backtrail.run.lost"].int_value <= lost, "room is kept for runs"


def test_a_loss_after_the_runs_end_is_told_too(receiver: Receiver) -> None:
    with recording(f"{receiver.url}/v1/traces") as processor:
        run_id = echoing(1, 0)
        assert processor.flush(10)
        receiver.answers = [400]
        run = current_recorder().start_root("run", int(run_id, 16), {}, ())
        current_recorder().point("late", run.context, {"backtrail.kind": "state"})
        assert not processor.flush(10)
        assert lost_in_records(receiver) == {}, "a server that refuses is not told why it should not have"
        echoing(1, 0)
        assert processor.flush(10)

        until(lambda: lost_in_records(receiver) == {run_id: 1})


def test_the_last_word_of_a_program_is_what_it_lost(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    processor = Processor(OtlpDelivery(f"{receiver.url}/v1/traces", {}), max_queue_bytes=100_000)
    set_current_recorder(Recorder(sink=processor))
    run_id = echoing(200, 0)
    set_current_recorder(Recorder())
    receiver.may_answer.set()
    processor.shutdown()

    assert lost_in_records(receiver) == {run_id: processor.lost_of(int(run_id, 16))}


def test_a_call_may_wait_for_room_and_then_nothing_is_lost(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    url = f"{receiver.url}/v1/traces"
    with recording(url, max_queue_bytes=200_000, on_full="block") as processor:
        program = threading.Thread(target=echoing, args=(1_000, 0))
        program.start()
        program.join(1)
        assert program.is_alive(), "it waits"
        receiver.may_answer.set()
        program.join(30)

        assert not program.is_alive()
        assert processor.flush(10)
        assert receiver.names().count("echo") == 1_000


def test_an_outage_costs_one_wait_and_not_one_for_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_queue, "BLOCK_SECONDS", 0.3)
    with recording(AWAY, max_queue_bytes=100_000, on_full="block") as processor:
        started = time.monotonic()
        run_id = echoing(300, 0)

        assert 0.3 < time.monotonic() - started < 30, "each of 300 steps would take 0.3 seconds"
        assert processor.lost_of(int(run_id, 16)) > 0


def test_nobody_waits_for_room_once_the_program_ends(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    with recording(f"{receiver.url}/v1/traces", max_queue_bytes=100_000, on_full="block") as processor:
        program = threading.Thread(target=echoing, args=(300, 0))
        program.start()
        program.join(0.5)
        processor.shutdown(0.2)
        program.join(5)

        assert not program.is_alive()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"on_full": "drop"}, "on_full is one of mark, block, not 'drop'"),
        ({"on_full": None}, "on_full is one of mark, block, not None"),
        ({"max_queue_bytes": 0}, "max_queue_bytes is 65536 at least, not 0"),
    ],
)
def test_a_wrong_setting_is_said_at_once(wrong: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        backtrail.configure(**wrong)


def test_a_large_payload_goes_by_itself(receiver: Receiver) -> None:
    with recording(f"{receiver.url}/v1/traces") as processor:
        set_current_recorder(Recorder(sink=processor, max_payload_bytes=16 * MIB))

        @backtrail.run
        def main() -> None:
            for length in (10, 10, 5 * MIB, 10, 10):
                echo("x" * length)

        main()
        assert processor.flush(20)

    sizes = [request.ByteSize() for request in receiver.requests if request.ByteSize() > 4 * MIB]
    counts = [
        len(scope.spans)
        for request in receiver.requests
        if request.ByteSize() > 4 * MIB
        for resource in request.resource_spans
        for scope in resource.scope_spans
    ]
    assert (len(sizes), counts) == (1, [1])
    assert receiver.names().count("echo") == 5
