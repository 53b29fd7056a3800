"""Runs are sent whole or not at all: some by chance, and those that turned out worth it."""

import contextlib
import gc
import threading
import time
from collections.abc import Iterator

import pytest

import backtrail
from backtrail import RunContext, Sampling
from backtrail._delivery import sampling as _sampling
from backtrail._delivery.processor import Processor
from backtrail._delivery.sampling import MAX_HELD_BYTES
from backtrail._spans.recorder import current_recorder, innermost
from backtrail.semconv import KIND
from tests.tracer.receiver import Receiver, receiving
from tests.waiting import within_ten_seconds


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver
        backtrail.shutdown()


@backtrail.step
def look_up(name: str) -> str:
    return name.upper()


@backtrail.run
def answer(name: str, ctx: RunContext) -> str:
    look_up(name)
    if name == "broken":
        raise KeyError(name)
    return ctx.run.run_id


def kinds(receiver: Receiver) -> list[str]:
    """Of everything that arrived."""
    backtrail.flush()
    kinds = [pair.value.string_value for span in receiver.spans for pair in span.attributes if pair.key == KIND]
    return sorted(set(kinds))


def test_of_a_run_that_is_not_chosen_nothing_is_sent(receiver: Receiver) -> None:
    backtrail.configure(receiver.url, sampling=Sampling(rate=0.0, keep_failed=False))

    assert answer("lamp")

    assert kinds(receiver) == []


def test_a_run_that_failed_is_sent_whole_though_it_was_not_chosen(receiver: Receiver) -> None:
    backtrail.configure(receiver.url, sampling=Sampling(rate=0.0))

    answer("lamp")
    with pytest.raises(KeyError):
        answer("broken")

    assert kinds(receiver) == ["agent", "checkpoint", "pending", "run", "step"]
    assert len({span.trace_id for span in receiver.spans}) == 1


def test_the_chosen_share_of_runs_is_sent_and_each_of_them_whole(receiver: Receiver) -> None:
    backtrail.configure(receiver.url, sampling=Sampling(rate=0.5, keep_failed=False))

    run_ids = {answer("lamp") for _ in range(64)}

    backtrail.flush()
    sent = [span.trace_id.hex() for span in receiver.spans]
    assert 10 < len(set(sent)) < 54
    assert set(sent) < run_ids
    assert {sent.count(run_id) for run_id in sent} == {sent.count(sent[0])}


@pytest.mark.parametrize(
    ("limit", "is_sent"),
    [
        ({"keep_slower_than": 0.0}, True),
        ({"keep_slower_than": 60.0}, False),
        ({"keep_tokens_over": 900}, True),
        ({"keep_tokens_over": 1_000}, False),
        ({"keep_cost_over": 0.4}, True),
        ({"keep_cost_over": 0.5}, False),
    ],
)
def test_slow_and_costly_runs_are_sent(receiver: Receiver, limit: dict[str, float], is_sent: bool) -> None:
    backtrail.configure(receiver.url, sampling=Sampling(rate=0.0, keep_failed=False, **limit))  # type: ignore[arg-type]

    with backtrail.run("dear"), backtrail.step("call", kind="llm") as this:
        this.complete("yes", tokens_used=1_000, cost_usd=0.5)

    assert bool(kinds(receiver)) is is_sent


def test_what_asks_to_be_durable_is_sent(receiver: Receiver) -> None:
    backtrail.configure(receiver.url, sampling=Sampling(rate=0.0))

    with backtrail.run("checkpointed") as ctx:
        taken = ctx.checkpoint_sync("here")

    assert taken.is_durable
    assert "run" in kinds(receiver)


def test_a_checkpoint_of_a_run_that_is_not_sent_is_not_called_durable(receiver: Receiver) -> None:
    backtrail.configure(receiver.url, sampling=Sampling(rate=0.0, keep_failed=False))

    with backtrail.run("dropped") as ctx:
        taken = ctx.checkpoint_sync("here")

    assert not taken.is_durable
    assert kinds(receiver) == []


def test_when_too_much_is_held_back_the_oldest_run_is_sent(receiver: Receiver) -> None:
    backtrail.configure(receiver.url, sampling=Sampling(rate=0.0))
    payload = "x" * (MAX_HELD_BYTES // 20)

    with backtrail.run("long"):
        for _ in range(12):
            look_up(payload)

        assert "step" in kinds(receiver)


def test_what_a_run_that_may_be_dropped_calls_for_is_told_not_to_record(receiver: Receiver) -> None:
    backtrail.configure(receiver.url, sampling=Sampling(rate=0.0))

    with backtrail.run("asks"):
        headers: dict[str, str] = backtrail.inject({})

    assert headers["traceparent"].endswith("-00")
    with backtrail.extract(headers):
        look_up("lamp")
    assert kinds(receiver) == []


def test_the_same_run_is_chosen_in_every_process() -> None:
    assert [Sampling(rate=0.25).chooses(share << 54) for share in range(4)] == [True, False, False, False]
    assert Sampling().chooses((1 << 128) - 1)


def test_a_rate_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 1, not 10"):
        Sampling(rate=10)


def test_without_sampling_nothing_stands_before_the_processor(receiver: Receiver) -> None:
    backtrail.configure(receiver.url)

    assert current_recorder().sampler is None


def test_a_stream_that_is_collected_while_a_span_is_held_back_ends_there(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    @backtrail.step
    def items() -> Iterator[int]:
        yield from (1, 2)

    def size_of(span: object) -> int:
        gc.collect()  # as it may happen at any moment
        return 1

    monkeypatch.setattr(_sampling, "size_of", size_of)
    backtrail.configure(receiver.url, sampling=Sampling(rate=0.0))

    @backtrail.run
    def drop_a_stream() -> None:
        stream = items()
        next(stream)
        circle: list[object] = [stream]
        circle.append(circle)
        del stream, circle
        look_up("lamp")

    assert within_ten_seconds(drop_a_stream)


def test_a_run_that_waits_for_room_holds_no_other_run(receiver: Receiver) -> None:
    backtrail.configure(receiver.url, sampling=Sampling(rate=0.0), max_queue_bytes=65_536, on_full="block")
    receiver.may_answer.clear()

    @backtrail.run
    def fail() -> None:
        for _ in range(100):
            look_up("lamp")
        raise KeyError("lamp")

    def try_it() -> None:
        with contextlib.suppress(KeyError):
            fail()

    processor = innermost(current_recorder().sink)
    assert isinstance(processor, Processor)
    failing = threading.Thread(target=try_it)
    failing.start()
    while processor._queue.accepted == 0:
        time.sleep(0.01)
    time.sleep(0.1)

    assert within_ten_seconds(lambda: answer("lamp"))
    assert failing.is_alive()
    receiver.may_answer.set()
    failing.join()


def test_a_long_run_that_is_dropped_stays_dropped_however_many_follow(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sampling, "_DROPPED_REMEMBERED", 3)
    backtrail.configure(receiver.url, sampling=Sampling(rate=0.0, keep_failed=False))

    with backtrail.run("long"):
        for _ in range(10):
            answer("lamp")
        look_up("lamp")

    assert kinds(receiver) == []


def test_a_run_that_is_open_when_the_program_ends_is_sent(receiver: Receiver) -> None:
    backtrail.configure(receiver.url, sampling=Sampling(rate=0.0))

    with backtrail.run("cut off"):
        look_up("lamp")
        backtrail.shutdown()

    assert {"pending", "step"} <= set(kinds(receiver))
