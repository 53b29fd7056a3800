"""A process may fork, end, change its mind about the server: what was recorded is delivered all the same."""

import logging
import multiprocessing
import os
import subprocess
import sys
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


def test_our_requests_are_not_in_the_users_log(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    backtrail.configure(receiver.url)
    program()
    assert backtrail.flush()

    assert caplog.records == []
