"""What became of a step decides what a resumed run does: hand it out, raise it again, run it, or refuse."""

import asyncio

import pytest

import backtrail
from backtrail import Client, RunContext
from backtrail.errors import ResultNotReplayableError
from tests.e2e.replaying import Log


async def test_a_handled_failure_is_raised_again_even_if_it_would_now_succeed(client: Client, log: Log) -> None:
    @backtrail.step
    async def primary() -> str:
        log.ran("primary")
        if log.broken:
            raise ConnectionError("down")
        return "from the primary"

    @backtrail.step
    async def fallback() -> str:
        log.ran("fallback")
        return "from the fallback"

    @backtrail.step
    async def finish(text: str) -> str:
        log.ran("finish")
        if log.broken:
            raise RuntimeError("no")
        return text

    @backtrail.run
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        try:
            text = await primary()
        except ConnectionError as error:
            text = await fallback()
            return await finish(f"{text}, since it was {error}")
        return text

    with pytest.raises(RuntimeError):
        await handle()
    log.broken = False
    log.read()
    result = await client.replay(log.run_id, handle)

    assert (result.value, log.read()) == ("from the fallback, since it was down", ["finish"])


async def test_a_failure_caught_and_raised_again_at_the_end_runs_live(client: Client, log: Log) -> None:
    @backtrail.step
    async def fetch() -> str:
        log.ran("fetch")
        if log.broken:
            raise ConnectionError("down")
        return "fetched"

    @backtrail.step
    async def note(what: str) -> None:
        log.ran("note")

    @backtrail.run
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        try:
            return await fetch()
        except ConnectionError:
            await note("it failed")
            raise

    with pytest.raises(ConnectionError):
        await handle()
    log.broken = False
    log.read()
    result = await client.replay(log.run_id, handle)

    assert (result.value, log.read()) == ("fetched", ["fetch"])


async def test_a_users_own_retries_have_their_whole_budget_again(client: Client, log: Log) -> None:
    @backtrail.step
    async def flaky() -> str:
        log.ran("try")
        raise TimeoutError("again")

    @backtrail.run
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        for attempt in range(3):
            try:
                return await flaky()
            except TimeoutError:
                if attempt == 2:
                    raise
        return ""

    with pytest.raises(TimeoutError):
        await handle()
    recorded = log.run_id
    log.read()
    with pytest.raises(TimeoutError) as failure:
        await client.replay(recorded, handle)

    assert log.read() == ["try", "try", "try"]
    assert failure.value.__notes__ == [f"raised in run {log.run_id}, a replay of run {recorded}"]


async def test_a_sibling_that_ends_after_the_run_is_kept(client: Client, log: Log) -> None:
    @backtrail.step
    async def slow() -> str:
        log.ran("slow")
        await asyncio.sleep(0.05)
        return "slow"

    @backtrail.step
    async def fails() -> str:
        log.ran("fails")
        if log.broken:
            raise ValueError("at once")
        return "fast"

    left: list[asyncio.Task[str]] = []

    @backtrail.run
    async def handle(ctx: RunContext) -> list[str]:
        log.run_id = ctx.run.run_id
        left[:] = [asyncio.create_task(slow())]
        return list(await asyncio.gather(*left, fails()))

    with pytest.raises(ValueError, match="at once"):
        await handle()
    await left[0]
    log.broken = False
    log.read()
    result = await client.replay(log.run_id, handle)

    assert (result.value, log.read()) == (["slow", "fast"], ["fails"])


async def test_a_result_nobody_can_keep_stops_the_replay_whatever_the_program_catches(client: Client, log: Log) -> None:
    @backtrail.step
    async def connect() -> object:
        log.ran("connect")
        return object()

    @backtrail.run
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        try:
            await connect()
        except Exception:
            return "caught"
        return "connected"

    await handle()
    recorded = log.run_id
    log.read()
    with pytest.raises(ResultNotReplayableError) as refusal:
        await client.replay(recorded, handle)
    assert (refusal.value.reason, log.read()) == ("opaque", [])

    result = await client.replay(recorded, handle, on_undecodable="live")
    assert (result.value, log.read()) == ("connected", ["connect"])


async def test_a_timeout_that_now_strikes_earlier_is_reported(client: Client, log: Log) -> None:
    @backtrail.step
    async def quick() -> str:
        return "in time"

    @backtrail.run
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        asked = asyncio.ensure_future(quick())
        await asyncio.sleep(0)
        if ctx.is_replaying:
            asked.cancel()
        try:
            return await asked
        except asyncio.CancelledError:
            return "too late"

    await handle()
    result = await client.replay(log.run_id, handle)

    assert result.value == "too late"
    assert [one.kind for one in result.divergences] == ["outcome_changed"]
