"""Steps within steps, steps as blocks, steps by hand: each is replayed as far as its shape allows."""

from typing import Any

import pytest

import backtrail
from backtrail import Client, RunContext
from backtrail.errors import ResultNotReplayableError


class Program:
    """What a test's program shares with the test: the id of its last run, what ran, and whether it still breaks."""

    def __init__(self) -> None:
        self.run_id = ""
        self.is_broken = True
        self.ran: list[str] = []

    def mended(self) -> str:
        """Mends it, and gives the id of the run that broke."""
        self.is_broken = False
        self.ran.clear()
        return self.run_id


@pytest.fixture
def program() -> Program:
    return Program()


async def test_a_step_around_the_failure_runs_again_on_what_it_had_finished(client: Client, program: Program) -> None:
    @backtrail.step
    async def part(n: int) -> int:
        program.ran.append(f"part {n}")
        if n == 2 and program.is_broken:
            raise RuntimeError("part 2")
        return n

    @backtrail.step
    async def whole(ctx: RunContext) -> int:
        program.ran.append("whole")
        total = 0
        for n in range(4):
            total += await part(n)
            ctx.set_state("total", total)
        return total

    @backtrail.run
    async def handle(ctx: RunContext) -> Any:
        program.run_id = ctx.run.run_id
        return await whole(), await part(9), ctx.get_state("total")

    with pytest.raises(RuntimeError):
        await handle()
    result = await client.replay(program.mended(), handle)

    assert result.value == (6, 9, 6)
    assert program.ran == ["whole", "part 2", "part 3", "part 9"]

    again = await client.replay(result.run_id, handle)
    assert (again.value, again.live, again.divergences) == ((6, 9, 6), 0, [])


async def test_a_block_runs_and_what_is_nested_in_it_answers(client: Client, program: Program) -> None:
    @backtrail.step
    async def look_up(word: str) -> str:
        program.ran.append(word)
        return word.upper()

    @backtrail.run
    async def handle(ctx: RunContext) -> list[str]:
        program.run_id = ctx.run.run_id
        found = []
        for word in ("a", "b"):
            async with backtrail.step("gather", input={"word": word}):
                program.ran.append("block")
                found.append(await look_up(word))
        async with backtrail.step("send"):
            if program.is_broken:
                raise ConnectionError("down")
        return found

    with pytest.raises(ConnectionError):
        await handle()
    result = await client.replay(program.mended(), handle)

    assert (result.value, program.ran) == (["A", "B"], ["block", "block"])
    assert (result.hits, result.live, result.divergences) == (2, 3, [])


async def test_a_step_by_hand_asks_for_its_result_first(client: Client, program: Program) -> None:
    async def ask(prompt: str) -> str:
        me = backtrail.get_current_agent_context()
        found, result = await me.get_step_result("call_llm", (prompt,))
        if found:
            return str(result)
        this = await me.start_step("call_llm", "llm", (prompt,))
        program.ran.append(prompt)
        await this.complete(f"answer {len(program.ran)}")
        return f"answer {len(program.ran)}"

    @backtrail.step
    async def breaks() -> None:
        if program.is_broken:
            raise TimeoutError

    @backtrail.agent
    async def worker() -> list[str]:
        answers = [await ask("same"), await ask("same"), await ask("other")]
        await breaks()
        return [*answers, await ask("same")]

    @backtrail.run
    async def handle(ctx: RunContext) -> list[str]:
        program.run_id = ctx.run.run_id
        return await worker()

    with pytest.raises(TimeoutError):
        await handle()
    result = await client.replay(program.mended(), handle)

    assert result.value == ["answer 1", "answer 2", "answer 3", "answer 1"]
    assert program.ran == ["same"]
    assert (result.hits, result.live, result.divergences) == (3, 2, [])


async def test_a_result_too_long_to_keep_is_refused_and_the_rest_is_replayed(client: Client, program: Program) -> None:
    @backtrail.step
    async def long() -> str:
        program.ran.append("long")
        return "x" * 5_000_000

    @backtrail.step
    async def short() -> str:
        program.ran.append("short")
        return "y"

    @backtrail.run
    async def handle(ctx: RunContext) -> tuple[str, int]:
        program.run_id = ctx.run.run_id
        return await short(), len(await long())

    await handle()
    recorded = program.run_id
    with pytest.raises(ResultNotReplayableError) as refusal:
        await client.replay(recorded, handle)
    assert refusal.value.reason == "too_large"

    program.ran.clear()
    result = await client.replay(recorded, handle, on_undecodable="live")
    assert (result.value, program.ran) == (("y", 5_000_000), ["long"])
