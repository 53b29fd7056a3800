"""A program killed with kill -9 in the middle of a step: what it had finished is kept, and its run is resumed."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backtrail import Client
from backtrail.errors import ApiError, ReplayError, UnknownOutcomeError
from tests.e2e import killed_program
from tests.serving import RunningServer

ROOT = Path(__file__).parents[2]


def killed_run(server: RunningServer, client: Client, stop_in: str) -> tuple[str, list[str]]:
    """The id of a run whose process was killed when the server knew of the step it held in, and what it printed."""
    command = [sys.executable, "-m", "tests.e2e.killed_program", server.url, stop_in]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip()]
        while lines[-1] not in ("holding", ""):
            lines.append(process.stdout.readline().strip())
        run_id = lines[0].removeprefix("run ")
        wait_for_two_steps(client, run_id)
        process.kill()
    return run_id, lines


def wait_for_two_steps(client: Client, run_id: str) -> None:
    for _ in range(300):
        with contextlib.suppress(ApiError):
            if len(client.get_replay_bundle(run_id).steps) == 2:
                return
        time.sleep(0.1)
    raise AssertionError("the server never heard of the open step")


async def test_a_killed_run_is_incomplete_keeps_its_finished_steps_and_resumes(
    server: RunningServer, client: Client
) -> None:
    run_id, _ = killed_run(server, client, "lookup")
    bundle = client.get_replay_bundle(run_id)

    assert {(step.name, step.status, step.replay_policy) for step in bundle.steps} == {
        ("prepare", "completed", "cached"),
        ("slow_lookup", "incomplete", "live"),
    }
    assert {agent.name: agent.status for agent in bundle.agents} == {"cashier": "incomplete"}
    with pytest.raises(ReplayError, match="still running: its newest record is less than a minute old"):
        await client.replay(run_id, killed_program.handle)

    result = await client.replay(run_id, killed_program.handle, force=True)

    prepared, looked_up = result.value
    assert prepared.startswith("prepared order 7 in process ")
    assert prepared != f"prepared order 7 in process {os.getpid()}"
    assert looked_up == "looked up order 7"
    assert (result.hits, result.live) == (1, 1)


async def test_a_killed_payment_is_not_made_again_unless_that_is_allowed(server: RunningServer, client: Client) -> None:
    run_id, lines = killed_run(server, client, "payment")

    with pytest.raises(UnknownOutcomeError, match="allow_unsafe=\\['pay'\\]"):
        await client.replay(run_id, killed_program.handle, force=True)

    result = await client.replay(run_id, killed_program.handle, force=True, allow_unsafe=["pay"])
    key = next(line.removeprefix("key ") for line in lines if line.startswith("key "))
    assert result.value[1] == f"paid order 7 with {key}"
