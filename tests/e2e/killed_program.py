"""A program that is killed in the middle of a step; the test that kills it replays its run in a process of its own.

python -m tests.e2e.killed_program ENDPOINT
"""

import asyncio
import os
import sys

import backtrail
from backtrail import AgentContext, RunContext, StepContext


@backtrail.step
async def prepare(order: str) -> str:
    return f"prepared {order} in process {os.getpid()}"


@backtrail.step
async def slow_lookup(order: str, ctx: RunContext) -> str:
    ctx.set_state("looked up", order)
    await hold_if_told(ctx)
    return f"looked up {order}"


@backtrail.step(side_effect="unsafe")
async def pay(order: str, ctx: RunContext, this: StepContext) -> str:
    print("key", this.idempotency_key, flush=True)
    await hold_if_told(ctx)
    return f"paid {order} with {this.idempotency_key}"


@backtrail.agent(name="cashier")
async def cash_in(order: str, stop_in: str, me: AgentContext) -> list[str]:
    me.set_state("order", order)
    done = [await prepare(order)]
    done.append(await slow_lookup(order) if stop_in == "lookup" else await pay(order))
    return done


@backtrail.run
async def handle(order: str, stop_in: str, ctx: RunContext) -> list[str]:
    print("run", ctx.run.run_id, flush=True)
    return await cash_in(order, stop_in)


async def hold_if_told(ctx: RunContext) -> None:
    """The first process waits here to be killed; a replay goes on."""
    if not ctx.is_replaying:
        print("holding", flush=True)
        await asyncio.sleep(600)


if __name__ == "__main__":
    backtrail.configure(endpoint=sys.argv[1], service_name="killed", durability="sync")
    asyncio.run(handle("order 7", stop_in=sys.argv[2]))
