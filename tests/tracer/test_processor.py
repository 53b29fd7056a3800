"""Spans are delivered soon, kept while the server is away, counted when they are lost, and never in the way."""

import gc
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

import backtrail
from backtrail._delivery import parcel as _parcel
from backtrail._delivery.delivery import OtlpDelivery
from backtrail._delivery.processor import EXIT_SECONDS, LAST_WORD_SECONDS, Processor
from backtrail._spans.recorder import Recorder, set_current_recorder
from tests.tracer.receiver import Receiver, receiving
from tests.waiting import until, within_ten_seconds


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def processor(receiver: Receiver) -> Iterator[Processor]:
    processor = Processor(OtlpDelivery(f"{receiver.url}/v1/traces", {"authorization": "Bearer k"}))
    set_current_recorder(Recorder(sink=processor))
    yield processor
    set_current_recorder(Recorder())
    receiver.may_answer.set()
    processor.shutdown(1)


@backtrail.step
def short() -> None: ...


@backtrail.run
def short_run() -> None:
    short()


@pytest.mark.usefixtures("processor")
def test_finished_steps_arrive_while_the_run_goes_on(receiver: Receiver) -> None:
    @backtrail.run
    def main() -> None:
        short()
        until(lambda: "short" in receiver.names(), 2)

    main()

    assert receiver.headers[0]["authorization"] == "Bearer k"


@pytest.mark.usefixtures("processor")
def test_a_step_open_for_a_second_is_known_before_it_ends(receiver: Receiver) -> None:
    @backtrail.step
    def long() -> None:
        until(lambda: "long" in receiver.names())

    @backtrail.run
    def main() -> None:
        long()

    main()

    (pending,) = [span for span in receiver.spans if span.name == "long"]
    assert {a.key: a.value.string_value for a in pending.attributes}["backtrail.pending.kind"] == "step"


def test_flush_returns_when_the_server_has_everything(receiver: Receiver, processor: Processor) -> None:
    short_run()

    assert processor.flush(5)
    assert receiver.names().count("short_run") == 2  # the pending row and the span


def test_what_the_server_cannot_take_now_is_sent_again(receiver: Receiver, processor: Processor) -> None:
    receiver.answers = [503, 503]
    short_run()

    assert processor.flush(10)
    assert receiver.names().count("short") == 1
    assert processor.lost_of(0) == 0


def test_delivery_leaves_the_programs_random_numbers_alone(receiver: Receiver, processor: Processor) -> None:
    receiver.answers = [503]
    random.seed(7)
    before = random.getstate()

    short_run()
    assert processor.flush(10)

    assert random.getstate() == before


def test_what_the_server_refuses_is_counted_and_not_offered_again(
    receiver: Receiver, processor: Processor, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [401] * 20

    @backtrail.run
    def main() -> None:
        for _ in range(2):
            short()
            assert not processor.flush(5)
        receiver.answers.clear()

    main()
    assert processor.flush(5)

    (line,) = [record.message for record in caplog.records]
    assert line.startswith(f"{receiver.url}/v1/traces answered 401; ")

    run = receiver.spans[-1]
    values = {attribute.key: attribute.value for attribute in run.attributes}
    assert values["backtrail.run.lost"].int_value > 0


def test_a_full_queue_loses_the_newest_and_says_how_many(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    processor = Processor(OtlpDelivery(f"{receiver.url}/v1/traces", {}), max_queue_bytes=100_000)
    set_current_recorder(Recorder(sink=processor))
    receiver.may_answer.clear()
    until_sent = time.monotonic() + 0.5

    @backtrail.run
    def main() -> str:
        while time.monotonic() < until_sent:
            short()
        return backtrail.get_current_run_context().run.run_id

    run_id = main()

    assert processor.lost_of(int(run_id, 16)) > 0
    assert [record.message for record in caplog.records] == [
        f"too many spans wait for {receiver.url}/v1/traces; new ones are lost"
    ]


def test_batches_are_cut_by_bytes(receiver: Receiver, processor: Processor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parcel, "MAX_PARCEL_BYTES", 100_000)
    processor._queue.request_bytes = 100_000

    @backtrail.step
    def echo(text: str) -> str:
        return text

    @backtrail.run
    def main() -> None:
        for n in range(20):
            echo(f"{n}" * 20_000)

    main()
    assert processor.flush(10)

    assert max(request.ByteSize() for request in receiver.requests) < 200_000
    assert receiver.names().count("echo") == 20


def test_what_a_server_fails_over_takes_nothing_along_that_ended_later(receiver: Receiver) -> None:
    receiver.fails_over = "poison"
    processor = Processor(OtlpDelivery(f"{receiver.url}/v1/traces", {}), interval=0.01)
    set_current_recorder(Recorder(sink=processor))
    ended = 0

    backtrail.run(name="main")(backtrail.step(name="poison")(lambda: None))()
    until(lambda: processor.is_failing)
    while processor.is_failing:
        short_run()
        ended += 1
        time.sleep(0.01)

    assert processor.flush(20) is False
    assert receiver.names().count("short") == ended
    set_current_recorder(Recorder())
    processor.shutdown()


def test_thousands_of_short_spans_against_a_slow_server_all_arrive(receiver: Receiver, processor: Processor) -> None:
    receiver.may_answer.clear()

    @backtrail.run
    def main() -> None:
        for _ in range(10_000):
            short()

    main()
    receiver.may_answer.set()

    assert processor.flush(30)
    assert receiver.names().count("short") == 10_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_sends_its_own_spans_and_not_its_parents(receiver: Receiver, processor: Processor) -> None:
    receiver.may_answer.clear()
    short_run()
    pid = os.fork()
    if pid == 0:
        receiver.may_answer.set()
        backtrail.run(name="child")(lambda: None)()
        os._exit(0 if processor.flush(5) else 1)
    receiver.may_answer.set()
    _, status = os.waitpid(pid, 0)
    assert processor.flush(5)

    assert os.waitstatus_to_exitcode(status) == 0
    assert receiver.names().count("short_run") == 2
    assert receiver.names().count("child") == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_run_that_forks_counts_its_spans_in_each_process(receiver: Receiver, processor: Processor) -> None:
    @backtrail.run
    def main() -> int:
        short()
        processor.flush(5)
        pid = os.fork()
        short()
        if pid == 0:
            os._exit(0 if processor.flush(5) else 1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert main() == 0
    assert processor.flush(5)

    numbers: dict[str, list[int]] = {}
    for span in receiver.spans:
        values = {attribute.key: attribute.value for attribute in span.attributes}
        if "backtrail.number" in values:
            process = values["backtrail.process"].string_value
            numbers.setdefault(process, []).append(values["backtrail.number"].int_value)
    assert sorted(len(each) for each in numbers.values()) == [1, 6]
    assert all(sorted(each) == list(range(1, len(each) + 1)) for each in numbers.values())


PROGRAM = """
import sys, backtrail
backtrail.configure(sys.argv[1], service_name="exit")
@backtrail.step
def last(): return 1
@backtrail.run
def main(): return last()
main()
"""


NO_ANSWER_FROM_DNS = """
import socket, time
socket.getaddrinfo = lambda *args, **kwargs: time.sleep(60)
"""


def run_program(url: str, before: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "dev", "-c", before + PROGRAM, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_everything_is_delivered_when_a_program_ends(receiver: Receiver) -> None:
    done = run_program(receiver.url)

    assert (done.returncode, done.stderr) == (0, "")
    assert "last" in receiver.names()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent


@pytest.mark.parametrize("how", ["nobody listens", "nobody answers", "nobody knows the name"])
def test_a_program_ends_soon_without_a_server(silent: socket.socket, how: str) -> None:
    if how == "nobody answers":
        silent.listen()
    url = f"http://127.0.0.1:{silent.getsockname()[1]}"

    done = run_program(url, NO_ANSWER_FROM_DNS if how == "nobody knows the name" else "")

    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"7 spans could not be delivered to {url}/v1/traces")
    # By the program's own clock, however busy the machine that tests it.
    assert EXIT_SECONDS + LAST_WORD_SECONDS < 5


def test_what_is_recorded_at_the_very_end_is_delivered(receiver: Receiver) -> None:
    program = PROGRAM.replace("\nmain()", "\nimport atexit; atexit.register(main)")

    done = subprocess.run([sys.executable, "-c", program, receiver.url], capture_output=True, text=True, timeout=60)

    assert done.stderr == ""
    assert "last" in receiver.names()


def test_without_a_thread_of_its_own_flush_delivers(
    receiver: Receiver, processor: Processor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        short_run()
        patch.undo()
        assert processor.flush(5)

    assert "short" in receiver.names()
    (line,) = [record.message for record in caplog.records]
    assert line == "spans are sent at the end of the program: can't start new thread"


def test_a_span_that_ends_while_the_exporting_thread_is_woken_waits_for_nobody(processor: Processor) -> None:
    def collect(phase: str, info: dict[str, int]) -> None:
        short_run()

    def wake() -> None:
        for _ in range(1_000):
            processor._thread.hurry()

    short_run()
    gc.callbacks.append(collect)
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        assert within_ten_seconds(wake)
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(collect)


TERMINATED = """
import signal, sys, time, backtrail
backtrail.configure(sys.argv[1])
@backtrail.step
def early(): return 1
@backtrail.step
def late(): return 2
@backtrail.run
def main():
    early()
    time.sleep(1)
    late()
    signal.raise_signal(signal.SIGTERM)
main()
"""


def test_a_program_that_is_terminated_loses_what_ended_in_the_last_moment_and_no_more(receiver: Receiver) -> None:
    done = subprocess.run([sys.executable, "-c", TERMINATED, receiver.url], timeout=60)

    assert done.returncode == -signal.SIGTERM
    assert "early" in receiver.names()
    assert "late" not in receiver.names()
