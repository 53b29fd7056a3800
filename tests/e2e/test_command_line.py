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
    """Runs commands as a user would, in the repository's folder or in another."""

    def __init__(self, server_url: str, stub: StubServer) -> None:
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "COLUMNS": "100",
            "OTEL_EXPORTER_OTLP_ENDPOINT": server_url,
            "OPENAI_BASE_URL": f"{stub.url}/v1",
            "REFUNDS_URL": f"{stub.url}{REFUNDS}",
        }

    def run(self, *arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(
            command, cwd=folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False
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


PROGRAM = """
import asyncio, os, signal
import backtrail

backtrail.configure()

@backtrail.step(kind="tool")
async def search(text: str) -> list[str]:
    return [text.upper()]

@backtrail.step(kind="tool", side_effect="unsafe")
async def pay(items: list[str]) -> str:
    {paying}
    return f"paid for {{items}}"

@backtrail.run
async def handle(query: str) -> str:
    return await pay(await search({searching}))

if __name__ == "__main__":
    asyncio.run(handle("lamp"))
"""


def test_a_replay_says_where_the_code_has_left_the_record(shell: Shell, tmp_path: Path) -> None:
    program = tmp_path / "shop.py"
    program.write_text(PROGRAM.format(paying="raise TimeoutError('no bank')", searching="query"))
    assert shell.run("shop", folder=tmp_path).returncode == 1
    [failed] = json.loads(shell.run("backtrail", "runs", "--json").stdout)["runs"]
    program.write_text(PROGRAM.format(paying="pass", searching="query + 's'"))

    replay = shell.run("backtrail", "replay", failed["run_id"], "--app", "shop:handle", folder=tmp_path)
    refused = shell.run(
        *("backtrail", "replay", failed["run_id"], "--app", "shop:handle", "--on-input-change", "raise"),
        folder=tmp_path,
    )

    assert "! input changed: search: its input differs in text: 'lamp' → 'lamps'" in replay.stdout
    assert "→ paid for ['LAMPS']" in replay.stdout
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "step 'search' was called differently from its record" in refused.stderr


def test_what_a_refusal_advises_can_be_typed(shell: Shell, tmp_path: Path) -> None:
    program = tmp_path / "shop.py"
    program.write_text(PROGRAM.format(paying="os.kill(os.getpid(), signal.SIGKILL)", searching="query"))
    shell.run("shop", folder=tmp_path)
    [killed] = json.loads(shell.run("backtrail", "runs", "--json").stdout)["runs"]
    program.write_text(PROGRAM.format(paying="pass", searching="query"))

    def replay(*wishes: str) -> subprocess.CompletedProcess[str]:
        return shell.run("backtrail", "replay", killed["run_id"], "--app", "shop:handle", *wishes, folder=tmp_path)

    assert "replay it all the same with force=True (--force)" in replay().stderr
    assert "replay with allow_unsafe=['pay'] (--allow-unsafe pay)" in replay("--force").stderr
    assert "→ paid for ['LAMP']" in replay("--force", "--allow-unsafe", "pay").stdout
