"""Interceptors in a resumed run: what the record answers is not asked about again, and a recorded no is one."""

import pytest

import backtrail
from backtrail import Client, InterceptContext, InterceptedError, Interceptor, InterceptResult, Phase, RunContext
from tests.e2e.replaying import Log


class Policy(Interceptor):
    """Refuses the steps of these names."""

    def __init__(self, *refused: str) -> None:
        self.refused = set(refused)
        self.asked: list[str] = []

    async def intercept(self, phase: Phase, context: InterceptContext) -> InterceptResult:
        if phase is Phase.BEFORE_STEP:
            self.asked.append(context.name)
            if context.name in self.refused:
                return InterceptResult.stop(f"{context.name} is not for you")
        return InterceptResult.continue_()


async def test_a_recorded_stop_is_raised_again_and_served_steps_are_not_asked_for(client: Client, log: Log) -> None:
    policy = Policy("delete_all")

    @backtrail.step
    async def look_up() -> str:
        return "found"

    @backtrail.step
    async def delete_all() -> str:
        log.ran("delete_all")
        return "deleted"

    @backtrail.step
    async def finish(text: str) -> str:
        if log.broken:
            raise RuntimeError("no")
        return text

    @backtrail.run(interceptors=[policy])
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        text = await look_up()
        try:
            await delete_all()
        except InterceptedError as error:
            text += f", but {error.reason} ({error.interceptor}, {error.phase})"
        return await finish(text)

    with pytest.raises(RuntimeError):
        await handle()
    assert policy.asked == ["look_up", "delete_all", "finish"]
    policy.asked.clear()
    policy.refused.clear()
    result = await client.replay(log.mended(), handle)

    assert result.value == "found, but delete_all is not for you (Policy, before_step)"
    assert (policy.asked, log.read()) == (["finish"], [])


async def test_a_stop_that_ended_the_run_is_asked_for_again_when_it_is_resumed(client: Client, log: Log) -> None:
    policy = Policy("pay")

    @backtrail.step
    async def pay() -> str:
        log.ran("pay")
        return "paid"

    @backtrail.run(interceptors=[policy])
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        return await pay()

    with pytest.raises(InterceptedError):
        await handle()
    with pytest.raises(InterceptedError):
        await client.replay(first := log.mended(), handle)
    policy.refused.clear()
    result = await client.replay(first, handle)

    assert (result.value, log.read(), policy.asked) == ("paid", ["pay"], ["pay"] * 3)
