"""Retries on the whole road: attempts in the tree and the bundle, and a resumed run that treats them as one step."""

import time

import pytest

import backtrail
from backtrail import Client, RunContext
from backtrail._reading.answers import Node
from tests.e2e import killed_program
from tests.e2e.replaying import Log, settled
from tests.e2e.test_replay_kill import killed_run
from tests.serving import RunningServer


def below(node: Node, name: str) -> list[tuple[str, str, str]]:
    """Kind, name and status of what lies directly below the node of this name."""
    if node.name == name:
        return [(child.kind, child.name, child.status) for child in node.children]
    return [found for child in node.children for found in below(child, name)]


async def test_attempts_are_seen_in_tree_and_bundle_and_a_resume_takes_their_result(client: Client, log: Log) -> None:
    tries: list[str] = []

    @backtrail.step(retries=2, backoff=0.001)
    async def fetch() -> str:
        log.ran("fetch")
        tries.append("one")
        if len(tries) < 3:
            raise ConnectionError(f"down, try {len(tries)}")
        return "fetched"

    @backtrail.step
    async def finish(text: str) -> str:
        log.ran("finish")
        if log.broken:
            raise RuntimeError("no")
        return text

    @backtrail.run
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        return await finish(await fetch())

    with pytest.raises(RuntimeError):
        await handle()
    assert log.read() == ["fetch", "fetch", "fetch", "finish"]
    await settled(client, log.run_id)
    run, bundle = client.run(log.run_id), client.get_replay_bundle(log.run_id)

    expected = [
        ("attempt", "attempt 1", "failed"),
        ("attempt", "attempt 2", "failed"),
        ("attempt", "attempt 3", "completed"),
    ]
    assert below(run.tree, "fetch") == expected
    assert (run.steps_total, run.error_count) == (2, 2)  # the step that failed, and the run
    assert bundle.completeness["complete"] is True
    recorded = next(step for step in bundle.steps if step.name == "fetch")
    assert [(one.n, one.status) for one in recorded.attempts] == [(1, "failed"), (2, "failed"), (3, "completed")]
    assert isinstance(error := recorded.attempts[1].error, dict)
    assert error["message"] == "down, try 2"
    assert recorded.result == "fetched"

    result = await client.replay(log.mended(), handle)

    assert (result.value, log.read(), result.hits) == ("fetched", ["finish"], 1)
    await settled(client, result.run_id)
    assert below(client.run(result.run_id).tree, "fetch") == []
    again = next(step for step in client.get_replay_bundle(result.run_id).steps if step.name == "fetch")
    assert again.attempts == recorded.attempts


async def test_a_step_that_used_up_its_tries_has_all_of_them_again(client: Client, log: Log) -> None:
    @backtrail.step(retries=2, backoff=0)
    async def fetch() -> str:
        log.ran("fetch")
        raise ConnectionError("down")

    @backtrail.run
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        return await fetch()

    with pytest.raises(ConnectionError):
        await handle()
    with pytest.raises(ConnectionError):
        await client.replay(log.mended(), handle)

    assert log.read() == ["fetch", "fetch", "fetch"]


async def test_a_try_that_was_recorded_fails_again_at_once_and_the_next_goes_on(client: Client, log: Log) -> None:
    @backtrail.step
    async def flaky() -> str:
        log.ran("flaky")
        if log.broken and not tries:
            tries.append("failed once")
            raise ConnectionError("down")
        return "up"

    @backtrail.step
    async def finish(text: str) -> str:
        log.ran("finish")
        if log.broken:
            raise ValueError("no")
        return text

    @backtrail.step(retries=1, retry_on=ConnectionError, backoff=lambda retry: 0.0 if log.broken else 60.0)
    async def fetch() -> str:
        log.ran("fetch")
        return await finish(await flaky())

    @backtrail.run
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        return await fetch()

    tries: list[str] = []
    with pytest.raises(ValueError, match="no"):
        await handle()
    assert log.read() == ["fetch", "flaky", "fetch", "flaky", "finish"]
    started = time.monotonic()
    result = await client.replay(log.mended(), handle)

    assert (result.value, log.read()) == ("up", ["fetch", "fetch", "finish"])
    assert time.monotonic() - started < 30


async def test_a_run_killed_between_two_tries_resumes(server: RunningServer, client: Client) -> None:
    run_id, _ = killed_run(server, client, "backoff")

    step = next(step for step in client.get_replay_bundle(run_id).steps if step.name == "flaky_lookup")
    assert (step.status, step.replay_policy) == ("incomplete", "live")
    assert [(one.n, one.status) for one in step.attempts] == [(1, "failed")]

    result = await client.replay(run_id, killed_program.handle, force=True)

    assert result.value[1] == "looked up order 7 at try 2"
    assert (result.hits, result.live) == (1, 1)
