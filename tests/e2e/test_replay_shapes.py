"""Steps within steps, steps as blocks, steps by hand: each is replayed as far as its shape allows."""

from typing import Any

import pytest

import backtrail
from backtrail import Client, RunContext
from backtrail.errors import ResultNotReplayableError
from tests.e2e.replaying import Log


async def test_a_step_around_the_failure_runs_again_on_what_it_had_finished(client: Client, log: Log) -> None:
    @backtrail.step
    async def part(n: int) -> int:
        log.ran(f"part {n}")
        if n == 2 and log.broken:
            raise RuntimeError("part 2")
        return n

    @backtrail.step
    async def whole(ctx: RunContext) -> int:
        log.ran("whole")
        total = 0
        for n in range(4):
            total += await part(n)
            ctx.set_state("total", total)
        return total

    @backtrail.run
    async def handle(ctx: RunContext) -> Any:
        log.run_id = ctx.run.run_id
        return await whole(), await part(9), ctx.get_state("total")

    with pytest.raises(RuntimeError):
        await handle()
    result = await client.replay(log.mended(), handle)

    assert result.value == (6, 9, 6)
    assert log.read() == ["whole", "part 2", "part 3", "part 9"]

    again = await client.replay(result.run_id, handle)
    assert (again.value, again.live, again.divergences) == ((6, 9, 6), 0, [])


async def test_a_block_runs_and_what_is_nested_in_it_answers(client: Client, log: Log) -> None:
    @backtrail.step
    async def look_up(word: str) -> str:
        log.ran(word)
        return word.upper()

    @backtrail.run
    async def handle(ctx: RunContext) -> list[str]:
        log.run_id = ctx.run.run_id
        found = []
        for word in ("a", "b"):
            async with backtrail.step("gather", input={"word": word}):
                log.ran("block")
                found.append(await look_up(word))
        async with backtrail.step("send"):
            if log.broken:
                raise ConnectionError("down")
        return found

    with pytest.raises(ConnectionError):
        await handle()
    result = await client.replay(log.mended(), handle)

    assert (result.value, log.read()) == (["A", "B"], ["block", "block"])
    assert (result.hits, result.live, result.divergences) == (2, 3, [])


async def test_a_step_by_hand_asks_for_its_result_first(client: Client, log: Log) -> None:
    answers = (f"answer {n}" for n in range(1, 9))

    async def ask(prompt: str) -> str:
        me = backtrail.get_current_agent_context()
        found, result = await me.get_step_result("call_llm", (prompt,))
        if found:
            return str(result)
        this = await me.start_step("call_llm", "llm", (prompt,))
        log.ran(prompt)
        answer = next(answers)
        await this.complete(answer)
        return answer

    @backtrail.step
    async def breaks() -> None:
        if log.broken:
            raise TimeoutError

    @backtrail.agent
    async def worker() -> list[str]:
        given = [await ask("same"), await ask("same"), await ask("other")]
        await breaks()
        return [*given, await ask("same")]

    @backtrail.run
    async def handle(ctx: RunContext) -> list[str]:
        log.run_id = ctx.run.run_id
        return await worker()

    with pytest.raises(TimeoutError):
        await handle()
    result = await client.replay(log.mended(), handle)

    assert result.value == ["answer 1", "answer 2", "answer 3", "answer 4"]
    assert log.read() == ["same"]
    assert (result.hits, result.live, result.divergences) == (3, 2, [])


async def test_a_result_too_long_to_keep_is_refused_and_the_rest_is_replayed(client: Client, log: Log) -> None:
    @backtrail.step
    async def long() -> str:
        log.ran("long")
        return "x" * 5_000_000

    @backtrail.step
    async def short() -> str:
        log.ran("short")
        return "y"

    @backtrail.run
    async def handle(ctx: RunContext) -> tuple[str, int]:
        log.run_id = ctx.run.run_id
        return await short(), len(await long())

    await handle()
    recorded = log.run_id
    with pytest.raises(ResultNotReplayableError) as refusal:
        await client.replay(recorded, handle)
    assert refusal.value.reason == "too_large"

    log.read()
    result = await client.replay(recorded, handle, on_undecodable="live")
    assert (result.value, log.read()) == (("y", 5_000_000), ["long"])
