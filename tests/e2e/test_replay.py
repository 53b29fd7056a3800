"""A run that failed is resumed: a new run, linked to the old one, in which finished work answers from the record."""

from typing import Any

import pytest

import backtrail
from backtrail import Client, RunContext
from tests.e2e.replaying import Log, settled


async def test_the_failed_step_runs_again_and_the_finished_ones_do_not(client: Client, log: Log) -> None:
    @backtrail.step
    async def read(name: str) -> str:
        log.ran(f"read {name}")
        return f"the text of {name}"

    @backtrail.step
    async def send(text: str) -> str:
        log.ran("send")
        if log.broken:
            raise TimeoutError("the mail server does not answer")
        return f"sent {text!r}"

    @backtrail.run
    async def handle(name: str, ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        text = await read(name)
        ctx.set_state("text", text)
        return await send(text)

    with pytest.raises(TimeoutError):
        await handle("a")
    recorded, log.broken = log.run_id, False
    log.read()
    result = await client.replay(recorded, handle)

    assert (result.value, result.hits, result.live, log.read()) == ("sent 'the text of a'", 1, 1, ["send"])
    assert result.run_id == log.run_id != recorded
    await settled(client, result.run_id)
    summary = client.run(result.run_id)
    assert (summary.status, summary.replay_of, summary.replay_mode) == ("completed", recorded, "resume")
    assert (summary.step_count, summary.replayed_count) == (2, 1)
    assert client.get_state(result.run_id).root == client.get_state(recorded).root


async def test_the_new_run_is_linked_to_the_old_one_and_a_served_step_to_the_one_that_ran(
    client: Client, log: Log
) -> None:
    @backtrail.step
    async def answer() -> str:
        return "42"

    @backtrail.run
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        return await answer()

    await handle()
    recorded = log.run_id
    result = await client.replay(recorded, handle)
    await settled(client, result.run_id)
    old = {span.attributes["backtrail.kind"]: span for span in client.trace(recorded).spans}
    new = {span.attributes["backtrail.kind"]: span for span in client.trace(result.run_id).spans}

    assert [(link["span_id"], link["attributes"]) for link in new["run"].links] == [
        (old["run"].span_id, {"backtrail.link": "replay_of"})
    ]
    assert [(link["span_id"], link["attributes"]) for link in new["step"].links] == [
        (old["step"].span_id, {"backtrail.link": "source"})
    ]
    served = {name: value for name, value in new["step"].attributes.items() if name.startswith("backtrail.step.")}
    assert served["backtrail.step.source"] == f"{recorded}/{old['step'].span_id}"
    assert (served["backtrail.step.replayed"], served["backtrail.step.match"]) == (True, "exact")
    assert served.keys() & {"backtrail.step.input", "backtrail.step.result"} == set()
    replay = {name: value for name, value in new["run"].attributes.items() if name.startswith("backtrail.replay.")}
    assert replay.pop("backtrail.replay.bundle_sha256") == result.report.bundle_sha256
    assert replay == {
        "backtrail.replay.of": recorded,
        "backtrail.replay.root": recorded,
        "backtrail.replay.mode": "resume",
        "backtrail.replay.at": "failure",
        "backtrail.replay.generation": 1,
        "backtrail.replay.hits": 1,
        "backtrail.replay.live": 0,
        "backtrail.replay.divergences": 0,
        "backtrail.replay.saved_tokens": 0,
        "backtrail.replay.saved_cost_usd": 0.0,
    }


async def test_a_poll_loop_is_answered_in_order_and_its_fourth_call_runs(client: Client, log: Log) -> None:
    states = iter(["queued", "running", "done"])

    @backtrail.step
    async def poll(job: str) -> str:
        log.ran("poll")
        return next(states, "live")

    @backtrail.run
    async def handle(times: int, ctx: RunContext) -> list[str]:
        log.run_id = ctx.run.run_id
        return [await poll("job") for _ in range(times + (not log.broken))]

    await handle(3)
    log.broken = False
    log.read()
    result = await client.replay(log.run_id, handle)

    assert (result.value, log.read()) == (["queued", "running", "done", "live"], ["poll"])
    assert [one.kind for one in result.divergences] == ["missing_step"]


async def test_what_a_cached_step_wrote_is_written_and_what_a_failed_one_wrote_is_not_doubled(
    client: Client, log: Log
) -> None:
    @backtrail.step
    async def remember(word: str, ctx: RunContext) -> None:
        log.ran(word)
        ctx.set_state("words", [*(ctx.get_state("words") or []), word])

    @backtrail.step
    async def nested(word: str, ctx: RunContext) -> None:
        await remember(word)
        ctx.set_state("last", word)

    @backtrail.step
    async def breaks(ctx: RunContext) -> None:
        log.ran("breaks")
        ctx.set_state("words", [*ctx.get_state("words"), "from the one that breaks"])
        if log.broken:
            raise RuntimeError("after it wrote")

    @backtrail.run
    async def handle(ctx: RunContext) -> Any:
        log.run_id = ctx.run.run_id
        await remember("one")
        await nested("two")
        await breaks()
        return ctx.get_state("words"), ctx.get_state("last"), ctx.get_state("begun with")

    with pytest.raises(RuntimeError):
        await handle.with_options(state={"begun with": {"a": 1}})()
    recorded, log.broken = log.run_id, False
    log.read()
    result = await client.replay(recorded, handle)

    assert result.value == (["one", "two", "from the one that breaks"], "two", {"a": 1})
    assert log.read() == ["breaks"]
    await settled(client, result.run_id)
    broken_at = f"before:{client.get_replay_bundle(recorded).target.step_key}"
    assert client.get_state(recorded, at=broken_at).values == client.get_state(result.run_id, at=broken_at).values
    assert client.get_state(recorded).root == client.get_state(result.run_id).root


async def test_a_replay_that_failed_is_replayed_itself(client: Client, log: Log) -> None:
    fails_at = 1

    @backtrail.step
    async def part(n: int) -> int:
        log.ran(f"part {n}")
        if n == fails_at:
            raise RuntimeError(f"part {n}")
        return n * 10

    @backtrail.run
    async def handle(ctx: RunContext) -> list[int]:
        log.run_id = ctx.run.run_id
        return [await part(n) for n in range(4)]

    with pytest.raises(RuntimeError):
        await handle()
    for fails_at in (2, 3):  # noqa: B007  (the step reads it)
        with pytest.raises(RuntimeError):
            await client.replay(log.run_id, handle)
    fails_at = 4
    log.read()
    result = await client.replay(log.run_id, handle)

    assert (result.value, log.read()) == ([0, 10, 20, 30], ["part 3"])
    await settled(client, result.run_id)
    bundle = client.get_replay_bundle(result.run_id)
    assert [entry.generation for entry in bundle.lineage] == [3, 2, 1, 0]


async def test_one_finished_step_can_be_chosen_to_run_again(client: Client, log: Log) -> None:
    @backtrail.step
    async def part(n: int) -> int:
        log.ran(f"part {n}")
        return n if log.broken else n * 10

    @backtrail.run
    async def handle(ctx: RunContext) -> list[int]:
        log.run_id = ctx.run.run_id
        return [await part(n) for n in range(4)]

    await handle()
    recorded = log.mended()
    await client.replay(recorded, handle)
    keys = [step.step_key for step in client.get_replay_bundle(recorded).steps]
    before = await client.replay(recorded, handle, at=f"before:{keys[1]}")
    after = await client.replay(recorded, handle, at=f"after:{keys[1]}")

    assert (before.value, after.value) == ([0, 10, 2, 3], [0, 1, 20, 30])
    assert log.read() == ["part 1", "part 2", "part 3"]
