"""The rows of the feature table that a server has a part in; the others are in tests/tracer/test_feature_table.py."""

import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import backtrail
from backtrail import Client, RunContext, generate_id, get_current_agent_context, now_utc
from backtrail._replay.bundle import read_bundle
from backtrail.contexts import ExecutionContext
from backtrail.errors import CheckpointError, CheckpointNotFoundError, ReplayError
from tests.e2e.replaying import Log, settled
from tests.serving import RunningServer

ROOT = Path(__file__).parents[2]


class Database:
    """A service: no recording holds it."""

    def __init__(self, name: str) -> None:
        self.name = name


@dataclass(frozen=True)
class AppContext(ExecutionContext):  # type: ignore[misc]
    user_id: str
    db: Database | None = None


# --- A ------------------------------------------------------------------------------------------------------


async def test_a_services_on_the_context(client: Client, log: Log) -> None:
    @backtrail.step
    def ask(ctx: AppContext) -> str:
        assert ctx.db is not None
        return f"{ctx.user_id} from {ctx.db.name}"

    @backtrail.run
    async def main(ctx: AppContext) -> str:
        log.run_id = ctx.run.run_id
        answer = ask()
        if log.broken:
            raise TimeoutError
        assert ctx.db is not None
        return f"{answer}, then {ctx.db.name}"

    with pytest.raises(TimeoutError):
        await main(context=AppContext("u1", Database("old")))
    failed = log.mended()

    with pytest.raises(ReplayError, match=r"no recording holds db of .*pass context="):
        await client.replay(failed, main)
    result = await client.replay(failed, main, context=AppContext("u2", Database("new")))
    assert result.value == "u1 from old, then new"
    assert [(each.kind, each.name) for each in result.divergences] == [("context_changed", "user_id")]


async def test_a_generate_id_and_now_utc(client: Client, log: Log) -> None:
    @backtrail.run
    async def main(ctx: RunContext) -> tuple[str, datetime, float]:
        log.run_id = ctx.run.run_id
        log.ran(f"{generate_id()} {now_utc().isoformat()} {ctx.random()}")
        if log.broken:
            raise TimeoutError
        return generate_id(), now_utc(), ctx.random()

    with pytest.raises(TimeoutError):
        await main()
    recorded = log.read()
    log.broken = False
    result = await client.replay(log.run_id, main)

    assert log.read() == recorded
    assert len(result.value[0]) == 32
    assert generate_id() != generate_id()
    assert now_utc().utcoffset() == timedelta(0)


async def test_a_task_id_started_at_and_deadline(client: Client, log: Log) -> None:
    seen: list[tuple[str, datetime, datetime | None, bool]] = []

    @backtrail.agent
    def worker(ctx: AppContext) -> None:
        seen.append((ctx.task_id, ctx.started_at, ctx.deadline, ctx.is_overdue))

    @backtrail.agent
    def lead(ctx: AppContext) -> None:
        seen.append((ctx.task_id, ctx.started_at, ctx.deadline, ctx.is_overdue))
        worker()

    @backtrail.run
    async def main(ctx: AppContext) -> None:
        log.run_id = ctx.run.run_id
        lead()
        if log.broken:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        await main(context=AppContext("u1", deadline=now_utc() + timedelta(seconds=30)))
    recorded, seen[:] = list(seen), []
    failed = log.mended()
    await client.replay(failed, main)

    assert seen == recorded
    assert seen[0][0] != seen[1][0]
    assert seen[0][3] is False


# --- B ------------------------------------------------------------------------------------------------------


def say(server: RunningServer, conversation: str, message: str, text: str = "") -> list[str]:
    command = [sys.executable, "-m", "tests.e2e.conversation_program", server.url, conversation, message]
    spoken = subprocess.run(command, input=text, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert spoken.returncode == 0, spoken.stderr
    return spoken.stdout.splitlines()


def test_b_to_json_and_restore_in_another_process(server: RunningServer) -> None:
    answer, text = say(server, "c-1", "hello")

    later, _ = say(server, "c-1", "are you there?", text)

    assert (answer, later) == ("triage: message 1", "triage: message 2")
    assert "Database" not in text


def test_b_conversation_continuity_and_current_agent_name(server: RunningServer, client: Client) -> None:
    first, text = say(server, "c-2", "where is my invoice?")
    second, text = say(server, "c-2", "and how can I pay it?", text)

    assert first == "billing: message 1 of customer u1"
    assert second == "billing: message 2 of customer u1"
    history = ["where is my invoice?", "and how can I pay it?"]
    assert {"history": history} in [state_of(client, run) for run in turns(client, len(history))]


def turns(client: Client, count: int) -> list[str]:
    """The newest runs of the conversation, once that many are readable."""
    for _ in range(600):
        runs = [run.run_id for run in client.runs(conversation_id="c-2", status="completed").runs]
        if len(runs) >= count:
            return runs
        time.sleep(0.05)
    raise AssertionError(f"{len(runs)} turns of {count} became readable")


def state_of(client: Client, run_id: str) -> dict[str, Any]:
    return client.get_state(run_id).values["run"]


async def test_b_a_restored_run_that_failed_is_resumed_with_what_was_restored(client: Client, log: Log) -> None:
    @backtrail.run
    async def turn(message: str, ctx: AppContext) -> list[str]:
        log.run_id = ctx.run.run_id
        ctx.set_state("said", [*ctx.get_state("said", []), message])
        if log.broken and message == "two":
            raise TimeoutError
        return ctx.get_state("said") or []

    given = AppContext("u1", Database("old"))
    await turn.with_options(conversation_id="c-3")("one", context=given)
    restored = AppContext.from_json(given.to_json(), db=Database("new"))
    with pytest.raises(TimeoutError):
        await turn("two", context=restored)
    failed = log.mended()

    result = await client.replay(failed, turn, context=restored)

    assert result.value == ["one", "two"]
    assert client.run(result.run_id).conversation_id == "c-3"


# --- C ------------------------------------------------------------------------------------------------------


async def test_c_get_step_result(client: Client, log: Log) -> None:
    @backtrail.run
    async def main(ctx: RunContext) -> tuple[bool, str]:
        log.run_id = ctx.run.run_id
        agent = await ctx.start_agent("a")
        found, answer = await agent.get_step_result("ask", ("hi",), {"limit": 1})
        if not found:
            step = await agent.start_step("ask", input_args=("hi",), input_kwargs={"limit": 1})
            log.ran("ask")
            answer = "hello"
            await step.complete(answer)
        if log.broken:
            raise TimeoutError
        return found, answer

    with pytest.raises(TimeoutError):
        await main()
    assert log.read() == ["ask"]
    result = await client.replay(log.mended(), main)

    assert (result.value, result.hits, log.read()) == ((True, "hello"), 1, [])


async def test_c_checkpoint_on_run_and_agent(client: Client, log: Log) -> None:
    @backtrail.run
    async def main(ctx: RunContext) -> None:
        log.run_id = ctx.run.run_id
        ctx.set_state("iteration", 5)
        assert (await ctx.checkpoint(name="mid_execution")).is_durable
        agent = await ctx.start_agent("a")
        agent.set_state("found", 3)
        taken = await agent.checkpoint(name="after_search", extra_state={"custom": "data"})
        assert (taken.is_durable, taken.extra, ctx.get_state("custom")) == (True, {"custom": "data"}, None)

    await main()
    await settled(client, log.run_id)

    made = {each.name: each for each in client.list_checkpoints(log.run_id) if not each.auto}
    assert list(made) == ["mid_execution", "after_search"]
    assert made["after_search"].extra == {"custom": "data"}
    middle = client.get_state(log.run_id, at=f"checkpoint:{made['mid_execution'].checkpoint_id}")
    assert middle.values["run"] == {"iteration": 5}


async def test_c_restore_from_checkpoint_and_is_replaying(client: Client, log: Log) -> None:
    @backtrail.run
    async def first(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        ctx.set_state("results", ["a"])
        taken = await ctx.checkpoint("mid")
        ctx.set_state("results", ["a", "b"])
        return taken.checkpoint_id

    @backtrail.run
    async def second(checkpoint_id: str, ctx: RunContext) -> tuple[Any, bool, bool]:
        await ctx.restore_from_checkpoint(checkpoint_id)
        return ctx.get_state("results"), ctx.is_replaying, get_current_agent_context().is_replaying

    checkpoint_id = await first()
    await settled(client, log.run_id)

    assert await second(checkpoint_id) == (["a"], True, True)


async def test_c_checkpoint_error_on_loading_and_replay_error_on_decoding(client: Client, tmp_path: Path) -> None:
    @backtrail.run
    async def main(ctx: RunContext) -> None:
        await ctx.restore_from_checkpoint(f"{ctx.run.run_id}-99")

    with pytest.raises(CheckpointError) as caught:
        await main()
    assert isinstance(caught.value, CheckpointNotFoundError)

    damaged = tmp_path / "bundle.json"
    damaged.write_text('{"schema": "replay-bundle/1", "run"')
    with pytest.raises(ReplayError):
        read_bundle(damaged)


def test_c_multi_run_client_and_init_local(tmp_path: Path) -> None:
    program = """
import sys, backtrail
with backtrail.init_local(sys.argv[1]) as client:
    with client.start_run("nightly") as ctx:
        ctx.set_state("n", 1)
        assert ctx.client is client and ctx.checkpoint_sync("swept").is_durable
        run_id = ctx.run.run_id
    print(client.run(run_id).name, client.get_state(run_id).values, client.list_checkpoints(run_id)[1].name)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "trail")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)

    assert (ran.returncode, ran.stdout) == (0, "nightly {'run': {'n': 1}} swept\n"), ran.stderr
