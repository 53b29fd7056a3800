"""A program run as a script, and its run looked at and replayed by the command line: three processes and a server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.stub_openai import CHAT, REFUNDS, StubServer, running_stub
from tests.serving import running_server

ROOT = Path(__file__).parents[2]


class Shell:
    """Runs commands as a user would, in the repository's folder."""

    def __init__(self, server_url: str, stub: StubServer) -> None:
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "COLUMNS": "100",
            "OTEL_EXPORTER_OTLP_ENDPOINT": server_url,
            "OPENAI_BASE_URL": f"{stub.url}/v1",
            "REFUNDS_URL": f"{stub.url}{REFUNDS}",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with running_stub(refunds_are_down=True) as stub:
        yield stub


@pytest.fixture
def shell(tmp_path: Path, stub: StubServer) -> Iterator[Shell]:
    with running_server(tmp_path / "data") as server:
        yield Shell(server.url, stub)


def test_a_script_that_failed_is_replayed_by_importing_it(shell: Shell, stub: StubServer) -> None:
    script = shell.run("examples.support_bot")
    assert script.returncode == 1
    assert "RefundsAreDown: refunds are paused" in script.stderr

    [failed] = json.loads(shell.run("backtrail", "runs", "--json").stdout)["runs"]
    assert failed["status"] == "failed"
    assert failed["error_type"] == "examples.support_bot.RefundsAreDown"
    before = stub.requests.copy()
    stub.refunds_are_down = False

    replay = shell.run("backtrail", "replay", failed["run_id"][:8], "--app", "examples.support_bot:handle", "--json")

    assert replay.returncode == 0, replay.stderr
    answer = json.loads(replay.stdout)
    assert (answer["hits"], answer["live"]) == (6, 2)
    assert stub.requests - before == {CHAT: 1, REFUNDS: 1}


def test_views_name_the_run_by_its_first_digits(shell: Shell) -> None:
    shell.run("examples.support_bot")
    [failed] = json.loads(shell.run("backtrail", "runs", "--json").stdout)["runs"]
    short = failed["run_id"][:8]

    listed, shown, state = (
        shell.run("backtrail", *arguments).stdout
        for arguments in (["runs"], ["show", short], ["state", short, "--at", "failure"])
    )

    assert listed.splitlines()[1].split()[:4] == [short, "✗", "failed", "handle"]
    assert "pay_refund  tool  RefundsAreDown: refunds are paused" in shown
    assert "customer='customer-7'" in state
