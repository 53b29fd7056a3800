"""A process may fork, end, change its mind about the server: what was recorded is delivered all the same."""

import json
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import backtrail
from tests.tracer.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def other() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def nothing_configured() -> Iterator[None]:
    backtrail.shutdown()
    yield
    backtrail.shutdown()


@backtrail.step
def work(name: str) -> str:
    return name


@backtrail.run
def program() -> str:
    return work("done")


CHILD = """
import multiprocessing, sys, backtrail

@backtrail.run
def child(is_new): return 1

def start(is_new):
    if is_new: backtrail.configure(sys.argv[1])
    child(is_new)

if __name__ == "__main__":
    method = sys.argv[2]
    backtrail.configure(sys.argv[1])
    process = multiprocessing.get_context(method).Process(target=start, args=(method != "fork",))
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_child_of_multiprocessing_delivers_before_it_ends(receiver: Receiver, method: str, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(CHILD)

    done = subprocess.run([sys.executable, script, receiver.url, method], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert receiver.names().count("child") == 2, "the pending row and the run"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_nothing_is_left_open_by_a_step_in_a_forked_child(receiver: Receiver) -> None:
    @backtrail.run
    def forking() -> int:
        pid = os.fork()
        work("here and there")
        if pid == 0:
            os._exit(0 if backtrail.flush() else 1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    backtrail.configure(receiver.url)
    assert forking() == 0
    assert backtrail.flush()

    assert receiver.names().count("work") == 2
    assert receiver.names().count("invoke_agent default") == 2 * 2, "a pending row and an agent in each process"


def test_flush_says_whether_the_server_has_everything(receiver: Receiver) -> None:
    assert backtrail.flush(), "nothing was recorded, so nothing is missing"
    backtrail.configure(receiver.url)
    program()

    assert backtrail.flush()
    assert receiver.names().count("program") == 2

    receiver.may_answer.clear()
    program()
    assert not backtrail.flush(timeout=0.05)

    receiver.may_answer.set()
    assert backtrail.flush()


def test_after_shutdown_nothing_is_recorded_until_it_is_configured_again(receiver: Receiver) -> None:
    backtrail.configure(receiver.url)
    program()
    backtrail.shutdown()
    delivered = len(receiver.spans)
    assert delivered > 0
    assert not backtrail.has_active_client()

    assert program() == "done"
    backtrail.configure(receiver.url)
    assert program() == "done"
    assert backtrail.flush()

    assert len(receiver.spans) == 2 * delivered


def test_a_run_ends_where_it_began_when_the_settings_change_on_its_way(receiver: Receiver, other: Receiver) -> None:
    @backtrail.run
    def moving() -> None:
        work("first")
        backtrail.configure(other.url)
        work("second")
        program()

    backtrail.configure(receiver.url)
    moving()
    assert backtrail.flush()

    assert set(other.names()) == {"program", "invoke_agent default", "work", "checkpoint"}
    deadline = time.monotonic() + 5
    while receiver.names().count("moving") < 2:
        assert time.monotonic() < deadline, "the end of the run did not arrive"
        time.sleep(0.01)
    assert receiver.names().count("work") == 2


def test_settings_that_were_replaced_in_a_run_are_gone_after_it(receiver: Receiver, other: Receiver) -> None:
    @backtrail.run
    def moving(number: int) -> None:
        work("first")
        backtrail.configure(other.url, service_name=f"{number}")
        work("second")

    for number in range(5):
        backtrail.configure(receiver.url, service_name=f"{number}")
        moving(number)

    def leftovers() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("backtrail-")]

    deadline = time.monotonic() + 10
    while len(leftovers()) > 1:
        assert time.monotonic() < deadline, f"still there: {leftovers()}"
        time.sleep(0.01)
    assert receiver.names().count("work") == 10


def test_our_requests_are_not_in_the_users_log(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    backtrail.configure(receiver.url)
    program()
    assert backtrail.flush()

    assert caplog.records == []


PREFORK = """
import os, sys, threading, backtrail

@backtrail.step
def work(name): return name

@backtrail.run
def serve(name): return work(name)

backtrail.configure(sys.argv[1])
busy = threading.Event()
def keep_exporting():
    while not busy.is_set():
        serve("parent")
thread = threading.Thread(target=keep_exporting)
thread.start()
children = []
for number in range(8):
    pid = os.fork()
    if pid == 0:
        serve(f"child {number}")
        os._exit(0 if backtrail.flush() else 1)
    children.append(pid)
busy.set()
thread.join()
sys.exit(sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_workers_forked_after_configuring_record_although_the_parent_is_exporting(
    receiver: Receiver, tmp_path: Path
) -> None:
    script = tmp_path / "prefork.py"
    script.write_text(PREFORK)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(script), receiver.url]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    results = [
        attribute.value.string_value
        for span in receiver.spans
        for attribute in span.attributes
        if span.name == "work" and attribute.key == "backtrail.step.result"
    ]
    assert {f'"child {number}"' for number in range(8)} == set(results) - {'"parent"'}
    assert len([result for result in results if result != '"parent"']) == 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_reads_its_parents_state_and_writes_its_own(receiver: Receiver) -> None:
    @backtrail.run
    def forking(ctx: backtrail.RunContext) -> int:
        ctx.set_state("plan", "old")
        ctx.set_state("gone", 1)
        pid = os.fork()
        if pid == 0:
            seen = ctx.get_state("plan")
            ctx.set_state("plan", "new")
            ctx.delete_state("gone")
            is_right = (seen, ctx.get_state("plan"), ctx.get_state("gone")) == ("old", "new", None)
            os._exit(0 if is_right and backtrail.flush() else 1)
        status = os.waitpid(pid, 0)[1]
        assert ctx.get_state("plan") == "old"
        return os.waitstatus_to_exitcode(status)

    backtrail.configure(receiver.url)
    assert forking() == 0
    assert backtrail.flush()

    written = [
        (delta["scope"].partition("@")[0], "@" in delta["scope"], operation["key"], operation["prev"] is None)
        for span in receiver.spans
        for attribute in span.attributes
        if attribute.key == "backtrail.state.deltas"
        for delta in json.loads(attribute.value.string_value)
        for operation in delta["ops"]
    ]
    assert sorted(written) == [("run", False, "gone", True), ("run", False, "plan", True), ("run", True, "plan", True)]
