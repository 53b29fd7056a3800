"""A real server that comes late, or whose sender dies: what arrives is told as it is, and what is missing is said."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import backtrail
from backtrail.errors import ApiError
from tests.e2e.undelivered import HEARTBEAT
from tests.serving import running_server

ROOT = Path(__file__).parents[2]
SILENCE = 3


@pytest.fixture
def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


@contextlib.contextmanager
def program(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Its run's id, and the process."""
    command = [sys.executable, "-m", "tests.e2e.undelivered", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ApiError):
            if condition():
                return
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


@backtrail.step
def work(number: int) -> int:
    return number


def test_a_run_says_what_it_lost_when_the_server_comes_late(free_port: int, tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_port}"
    backtrail.shutdown()
    client = backtrail.configure(endpoint, service_name="late", max_queue_bytes=150_000)

    @backtrail.run(name="hasty")
    def handle() -> str:
        for number in range(500):
            work(number)
        return backtrail.get_current_run_context().run.run_id

    run_id = handle()
    with running_server(tmp_path / "data", "--port", str(free_port)):
        assert not backtrail.flush(30), "something was lost"
        until(lambda: client.run(run_id).lost_count > 0)
        run, (listed,) = client.run(run_id), client.runs().runs
        completeness = client.get_replay_bundle(run_id).completeness
        backtrail.shutdown()

    assert (run.status, listed.lost_count, completeness["lost"]) == ("completed", run.lost_count, run.lost_count)
    # Besides its steps the run has pending rows and ends, of itself and its agent, and two snapshots.
    assert 500 <= run.lost_count + run.step_count <= 500 + 6
    assert completeness["complete"] is False


def test_what_a_killed_program_had_on_its_disk_is_delivered_by_the_next_one(free_port: int, tmp_path: Path) -> None:
    endpoint, spool = f"http://127.0.0.1:{free_port}", str(tmp_path / "spool")
    with program(endpoint, "50", "killed", spool) as (killed_id, process):
        process.wait(60)
    assert process.returncode == -9

    with running_server(tmp_path / "data", "--port", str(free_port)), backtrail.Client(endpoint) as client:
        with program(endpoint, "1", "ending", spool) as (next_id, process):
            assert process.wait(60) == 0
        until(lambda: client.run(killed_id).step_count == 50)
        until(lambda: client.run(next_id).status == "completed")
        assert list(Path(spool).iterdir()) == []
        bundle = client.get_replay_bundle(killed_id)

    assert sorted(step.result for step in bundle.steps if isinstance(step.result, int)) == list(range(50))


def test_a_silent_run_is_running_as_long_as_its_process_lives_and_everybody_says_the_same(tmp_path: Path) -> None:
    environment = {**os.environ, "BACKTRAIL_SILENCE_SECONDS": str(SILENCE)}
    with (
        running_server(tmp_path / "data", env=environment) as server,
        backtrail.Client(server.url) as client,
        program(server.url, "1", "waiting") as (run_id, process),
    ):

        def told() -> set[str]:
            bundle = client.get_replay_bundle(run_id)
            return {
                client.run(run_id).status,
                *(run.status for run in client.runs().runs),
                *(run.status for run in client.runs(status="running").runs),
                *(run.status for run in client.runs(status="incomplete").runs),
                bundle.run.status,
            }

        until(lambda: told() == {"running"})
        silent_since = time.monotonic()
        while time.monotonic() < silent_since + SILENCE + 4 * HEARTBEAT:
            assert told() == {"running"}
            time.sleep(0.3)

        process.kill()
        until(lambda: told() == {"incomplete"}, SILENCE + 10)
        assert client.run(run_id).tree.status == "incomplete"
