"""A run goes back to a checkpoint: its state is what it was, and what was finished by then answers from the record."""

import pytest

import backtrail
from backtrail import Client, RunContext
from backtrail.errors import CheckpointError, CheckpointNotFoundError
from tests.e2e.replaying import Log, settled


@backtrail.step
async def count(name: str, ctx: RunContext) -> int:
    counted: int = ctx.get_state("counted", 0) + 1
    ctx.set_state("counted", counted)
    LOG.ran(f"count {name}")
    return counted


LOG = Log()


@backtrail.run
async def count_two(ctx: RunContext) -> str:
    LOG.run_id = ctx.run.run_id
    ctx.set_state("names", ["a"])
    await count("a")
    taken = await ctx.checkpoint("one")
    await count("b")
    ctx.set_state("names", ["a", "b"])
    ctx.set_state("late", True)
    return taken.checkpoint_id


@backtrail.run
async def go_on(checkpoint_id: str, ctx: RunContext) -> dict[str, object]:
    LOG.run_id = ctx.run.run_id
    ctx.set_state("mine", 1)
    await ctx.restore_from_checkpoint(checkpoint_id)
    restored = {key: ctx.get_state(key) for key in ("names", "counted", "late", "mine")}
    served = await count("a")
    live = await count("b")
    if LOG.broken:
        raise TimeoutError("not yet")
    return {**restored, "served": served, "live": live, "after": ctx.get_state("counted"), "flag": ctx.is_replaying}


async def test_a_run_goes_on_from_another_runs_checkpoint(client: Client) -> None:
    checkpoint_id = await count_two()
    recorded = LOG.mended()
    await settled(client, recorded)

    seen = await go_on(checkpoint_id)

    assert seen == {
        "names": ["a"], "counted": 1, "late": None, "mine": None,
        "served": 1, "live": 2, "after": 2, "flag": True,
    }  # fmt: skip
    assert LOG.read() == ["count b"]
    await settled(client, LOG.run_id)
    summary = client.run(LOG.run_id)
    assert (summary.replay_of, summary.replayed_count, summary.status) == (recorded, 1, "completed")
    assert client.get_state(LOG.run_id).values["run"] == {"names": ["a"], "counted": 2}


async def test_a_run_that_went_back_to_a_checkpoint_and_failed_is_resumed_without_counting_twice(
    client: Client,
) -> None:
    checkpoint_id = await count_two()
    await settled(client, LOG.run_id)
    LOG.broken = True
    with pytest.raises(TimeoutError):
        await go_on(checkpoint_id)
    failed = LOG.mended()
    await settled(client, failed)

    result = await client.replay(failed, go_on)

    assert (result.value["served"], result.value["live"], result.value["after"]) == (1, 2, 2)
    assert LOG.read() == []


async def test_a_run_goes_back_to_its_own_checkpoint(client: Client) -> None:
    @backtrail.run
    async def back_and_forth(ctx: RunContext) -> list[object]:
        ctx.set_state("plan", ["first"])
        taken = await ctx.checkpoint("start")
        ctx.set_state("plan", ["second"])
        ctx.set_state("extra", 1)
        await ctx.restore_from_checkpoint(taken.checkpoint_id)
        return [ctx.get_state("plan"), ctx.get_state("extra"), ctx.is_replaying, ctx.run.run_id]

    *seen, run_id = await back_and_forth()

    assert seen == [["first"], None, True]
    await settled(client, str(run_id))
    assert client.get_state(str(run_id)).values["run"] == {"plan": ["first"]}


def test_code_without_an_event_loop_goes_back_too(client: Client) -> None:
    @backtrail.run
    def back(ctx: RunContext) -> object:
        ctx.set_state("plan", "first")
        taken = ctx.checkpoint_sync("start")
        ctx.set_state("plan", "second")
        ctx.restore_from_checkpoint_sync(taken.checkpoint_id)
        return ctx.get_state("plan")

    assert back() == "first"


@pytest.mark.parametrize("checkpoint_id", ["nonsense", "5" * 32 + "-7"])
async def test_a_checkpoint_nobody_has_is_said_to_be_unknown(client: Client, checkpoint_id: str) -> None:
    @backtrail.run
    async def back(ctx: RunContext) -> None:
        await ctx.restore_from_checkpoint(checkpoint_id)

    with pytest.raises(CheckpointNotFoundError, match="no checkpoint"):
        await back()


async def test_a_checkpoint_of_a_server_that_is_away_cannot_be_loaded() -> None:
    backtrail.configure("http://127.0.0.1:9")
    try:

        @backtrail.run
        async def back(ctx: RunContext) -> None:
            await ctx.restore_from_checkpoint("5" * 32 + "-7")

        with pytest.raises(CheckpointError, match="could not be loaded"):
            await back()
    finally:
        backtrail.shutdown()
