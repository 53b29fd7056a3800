"""Runs, agents and steps without a decorator: for code that is a loop, a state machine, or somebody else's.

    run "invoices"            async with client.start_run(…)
    ├─ agent collector        await ctx.start_agent(…): one step for each customer
    ├─ checkpoint "collected" the whole state, on disk when the call returns
    └─ agent sender           one step for each invoice; the mail server is down

The second night goes back to the checkpoint: the state is there, and steps that were done by then answer from their
record instead of being done again.

    python -m examples.by_hand
"""

import asyncio
from collections import Counter

from backtrail import AgentContext, Client, RunContext, StepKind
from examples.recorded_here import ended, recorded_here

CUSTOMERS = ["ada", "robin", "eve"]


class World:
    """What is out there, and how often it was asked."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.mail_is_up = False

    async def hours_of(self, customer: str) -> int:
        self.calls["clock"] += 1
        return len(customer) * 4

    async def send(self, customer: str, euros: int) -> str:
        self.calls["mail"] += 1
        if not self.mail_is_up:
            raise ConnectionError("the mail server is down")
        return f"{customer} got an invoice of {euros} EUR"


async def collect(agent: AgentContext, world: World, customer: str) -> int:
    """A step by hand: ask whether the record has its result, else do it and say what came of it."""
    found, hours = await agent.get_step_result("hours_of", (customer,))
    if not found:
        step = await agent.start_step("hours_of", StepKind.TOOL_CALL, input_args=(customer,))
        hours = await world.hours_of(customer)
        await step.complete(hours)
    return int(hours)


async def collect_all(ctx: RunContext, world: World) -> None:
    collector = await ctx.start_agent("collector", agent_config_id="collector-v2")
    async with collector:
        hours = {customer: await collect(collector, world, customer) for customer in CUSTOMERS}
        ctx.set_state("hours", hours)
        await collector.complete(f"{sum(hours.values())} hours")


async def send_all(ctx: RunContext, world: World) -> list[str]:
    sender = await ctx.start_agent("sender", metadata={"rate": 90})
    sent = []
    for customer, hours in ctx.get_state("hours").items():
        step = await sender.start_step("send", StepKind.TOOL_CALL, input_args=(customer, hours * 90))
        try:
            sent.append(await world.send(customer, hours * 90))
        except ConnectionError as error:
            await step.fail(error)
            await sender.fail(error)
            raise
        await step.complete(sent[-1], cost_usd=0.001)
    await sender.complete(sent)
    return sent


async def first_night(client: Client, world: World) -> tuple[str, str]:
    async with client.start_run("invoices", input={"month": "May"}) as ctx:
        await collect_all(ctx, world)
        checkpoint = await ctx.checkpoint("collected", extra={"by": "first night"})
        try:
            await ctx.complete(await send_all(ctx, world))
        except ConnectionError as error:
            print(f"first night: {error}")
            await ctx.fail(error)
        return ctx.run.run_id, checkpoint.checkpoint_id


async def second_night(client: Client, world: World, checkpoint_id: str) -> str:
    async with client.start_run("invoices", input={"month": "May"}) as ctx:
        await ctx.restore_from_checkpoint(checkpoint_id)
        print(f"second night, replaying: {ctx.is_replaying}, state: {ctx.get_state('hours')}")
        await collect_all(ctx, world)
        sent = await send_all(ctx, world)
        await ctx.complete(sent)
        print(f"spent {ctx.totals.cost_usd:.3f} USD on: {'; '.join(sent)}")
        return ctx.run.run_id


async def nights(client: Client) -> None:
    world = World()
    failed, checkpoint_id = await first_night(client, world)
    print(f"asked so far: {dict(world.calls)}")
    await asyncio.to_thread(ended, client, failed)
    world.mail_is_up = True
    done = await second_night(client, world, checkpoint_id)
    print(f"asked in both: {dict(world.calls)}")
    for run_id in (failed, done):
        run = await asyncio.to_thread(ended, client, run_id)
        counts = f"{run.steps_total} steps, {run.replayed_count} from the record"
        print(f"\n{run.name}: {run.status}, {counts}")
        for agent in run.agents:
            print(f"  {agent.name}: {agent.status}")
    taken = [each for each in client.list_checkpoints(failed) if not each.auto]
    print(f"\ncheckpoint {taken[0].name}, kept beside the state: {taken[0].extra}")


def main() -> None:
    with recorded_here("by-hand") as (client, _):
        asyncio.run(nights(client))


if __name__ == "__main__":
    main()
