"""`init_local()`: recorder, server and client in one process, which stays the user's own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

HEAD = """
import asyncio, json, logging, multiprocessing, os, signal, sys, tempfile, threading, time
import backtrail
from backtrail.errors import LocalServerError, ServerNotInstalledError, ServerUnreachableError

@backtrail.step(kind="tool")
def look_up(order_id):
    if "broken" in sys.argv:
        raise ConnectionError("the shop is closed")
    return {"order_id": order_id}

@backtrail.run
def handle(query):
    return look_up(query)
"""


@pytest.fixture
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, with the folder to record into beside it."""
    folder = tmp_path / "working"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def start(program: str, *arguments: str) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "BACKTRAIL_"))}
    command = [sys.executable, "-c", HEAD + program, *arguments]
    # In a group of its own: one that nobody above is left for, as under nohup, cannot be stopped from a terminal.
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, process_group=0
    )


def run(program: str, *arguments: str) -> list[Any]:
    """What it printed, a JSON value a line; it has to end well and say nothing else."""
    process = start(program, *arguments)
    output, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints) == (0, "")
    return [json.loads(line) for line in output.splitlines()]


def test_a_failed_run_is_read_and_replayed_where_it_was_recorded(working: Path) -> None:
    began = time.monotonic()
    status, value, statuses, ending = run(
        """
client = backtrail.init_local("../trail", service_name="notebook")
try:
    handle("A-1042")
except ConnectionError:
    pass
[run] = client.runs().runs
print(json.dumps([run.status, run.service_name, run.query]))
sys.argv.remove("broken")
print(json.dumps(client.replay_sync(run.run_id, handle).value))
print(json.dumps([run.status for run in client.runs().runs]))
print(time.monotonic())
""",
        "broken",
    )

    assert status == ["failed", "notebook", "A-1042"]
    assert value == {"order_id": "A-1042"}
    assert statuses == ["completed", "failed"]
    assert began < ending
    assert time.monotonic() - ending < 5
    assert list(working.iterdir()) == []
    assert (working.parent / "trail" / ".gitignore").read_text() == "*\n"


def test_what_a_program_recorded_last_is_there_for_the_next_one(working: Path) -> None:
    """The list of numbers takes the server's thread pool, which Python would have closed by then."""
    run(
        """
from opentelemetry import trace
backtrail.init_local("../trail")
handle("first")
with trace.get_tracer("a library").start_as_current_span("theirs") as span:
    span.set_attribute("numbers", [1, 2, 3])
handle("last")
"""
    )

    [names] = run(
        """
with backtrail.init_local("../trail") as client:
    traces = json.loads(client.request("GET", "/api/v1/runs", params={"kind": "any"}))["runs"]
    print(json.dumps(sorted(trace["query"] or trace["name"] for trace in traces)))
"""
    )

    assert names == ["first", "last", "theirs"]


def test_a_program_ends_well_while_the_engine_is_at_work_and_nothing_is_lost(working: Path) -> None:
    run(
        """
from backtrail import _local_client
_local_client.EXIT_SECONDS = 0.0  # as if the insert took longer than an exit may
backtrail.init_local("../trail")
for number in range(100):
    handle("word " * 1000)
"""
    )

    assert run(
        """
print(json.dumps(len(backtrail.init_local("../trail").runs(limit=200).runs)))
"""
    ) == [100]


def test_what_a_killed_program_recorded_is_there_for_the_next_one(working: Path) -> None:
    process = start('backtrail.init_local("../trail"); handle("kept"); backtrail.flush(); os.kill(os.getpid(), 9)')
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL

    assert run(
        """
client = backtrail.init_local("../trail")
print(json.dumps([run.query for run in client.runs().runs]))
"""
    ) == [["kept"]]


def test_the_same_path_is_the_same_server_and_another_path_is_another(working: Path) -> None:
    is_same, first, second, third, complaint, is_active = run(
        """
def queries(client): return sorted(run.query for run in client.runs().runs)
a = backtrail.init_local("../a")
print(json.dumps(backtrail.init_local(os.path.abspath("../a")) is a is backtrail.get_current_client()))
handle("a1")
print(json.dumps(queries(a)))
b = backtrail.init_local("../b")
handle("b1")
print(json.dumps(queries(b)))
handle("b2")
with backtrail.init_local("../a") as again:
    handle("a2")
    print(json.dumps(queries(again)))
try:
    b.runs()
except ServerUnreachableError as error:
    print(json.dumps(str(error)))
print(json.dumps(backtrail.has_active_client()))
"""
    )

    assert is_same is True
    assert (first, second, third) == (["a1"], ["b1"], ["a1", "a2"])
    assert "no Backtrail server answers" in complaint
    assert is_active is False


def test_what_does_not_work_is_one_sentence(working: Path) -> None:
    in_use, impossible, missing = run(
        """
backtrail.init_local("../trail")
import subprocess
program = "import backtrail; backtrail.init_local('../trail')"
other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
print(json.dumps(other.stderr.splitlines()[-1]))
try:
    backtrail.init_local("/proc/trail")
except LocalServerError as error:
    print(json.dumps(str(error)))
from backtrail import _local_client
_local_client.entry_points = lambda **_: []
try:
    backtrail.init_local("../other")
except ImportError as error:
    assert isinstance(error, ServerNotInstalledError)
    print(json.dumps(str(error)))
"""
    )

    folder = working.parent / "trail"
    assert f"LocalServerError: the data folder {folder} is in use by another process" in in_use
    assert "the data folder /proc/trail cannot be made" in impossible
    assert missing == "init_local() runs the server in this process: pip install backtrail-server"


def test_forked_children_record_to_their_parent_and_end(working: Path) -> None:
    statuses, queries = run(
        """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python says so of every fork with threads
client = backtrail.init_local("../trail")
handle("parent")
def fork(query):
    if (child := os.fork()) == 0:
        assert backtrail.init_local("../trail").endpoint == client.endpoint
        handle(query)
        sys.exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
worker = multiprocessing.get_context("fork").Process(target=handle, args=("worker",))
statuses = [fork("forked")]
worker.start()
worker.join(20)
found = sorted(run.query for run in client.runs().runs)
client.close()
child = os.fork()
if child == 0:
    sys.exit(7)
statuses += [worker.exitcode, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]
print(json.dumps(statuses))
print(json.dumps(found))
"""
    )

    assert statuses == [7, 0, 7]
    assert queries == ["forked", "parent", "worker"]


def test_it_starts_inside_a_running_loop_as_in_a_notebook(working: Path) -> None:
    assert run(
        """
async def cell():
    client = backtrail.init_local("../trail")
    handle("cell")
    print(json.dumps([run.query for run in client.runs().runs]))
asyncio.run(cell())
"""
    ) == [["cell"]]


def test_the_process_stays_as_it_was(working: Path) -> None:
    """Signals, environment, directories, loggers; and the server says nothing to a program that logs everything."""
    is_same, complaints = run(
        """
from io import StringIO
said = StringIO()
logging.basicConfig(level=logging.INFO, stream=said)
logging.getLogger("uvicorn.access").addHandler(logging.NullHandler())
def process():
    access = logging.getLogger("uvicorn.access")
    signals = {number: str(signal.getsignal(number)) for number in signal.valid_signals()}
    limits = [gc.get_threshold(), gc.get_freeze_count()]
    loggers = [access.propagate, access.level, len(access.handlers), len(logging.getLogger().handlers)]
    return [os.getcwd(), tempfile.gettempdir(), dict(os.environ), signals, limits, loggers, str(mask())]
def mask():
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])
import gc
before = process()
with backtrail.init_local("../trail") as client:
    handle("x")
    assert client.runs().runs
    now = process()
print(json.dumps([now == before, [line for line in said.getvalue().splitlines() if "httpx" not in line]]))
"""
    )[0]

    assert (is_same, complaints) == (True, [])


def test_ctrl_z_still_stops_the_program(working: Path) -> None:
    process = start('backtrail.init_local("../trail"); print("ready", flush=True); time.sleep(60)')
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTSTP)
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    finally:
        process.kill()
        process.communicate()
