"""A program that is killed in the middle of a step; the test that kills it replays its run in a process of its own.

python -m tests.e2e.killed_program ENDPOINT
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

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


def wait_to_be_killed(retry: int) -> float:
    if backtrail.get_current_run_context().is_replaying:
        return 0.0
    print("holding", flush=True)
    return 600.0


@backtrail.step(retries=1, backoff=wait_to_be_killed)
async def flaky_lookup(order: str, this: StepContext) -> str:
    if this.attempt == 1:
        raise ConnectionError("down")
    return f"looked up {order} at try {this.attempt}"


@backtrail.step(side_effect="unsafe")
async def pay(order: str, ctx: RunContext, this: StepContext) -> str:
    print("key", this.idempotency_key, flush=True)
    await hold_if_told(ctx)
    return f"paid {order} with {this.idempotency_key}"


@backtrail.agent(name="cashier")
async def cash_in(order: str, stop_in: str, me: AgentContext) -> list[str]:
    me.set_state("order", order)
    done = [await prepare(order)]
    stops: dict[str, Callable[[str], Awaitable[str]]] = {
        "lookup": slow_lookup,
        "backoff": flaky_lookup,
        "payment": pay,
    }
    done.append(await stops[stop_in](order))
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
