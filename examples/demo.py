"""`make demo`: a support agent fails, its run is looked at, and replayed. What is shown is also checked.

    stub_openai ◀─ support_bot ─▶ backtrail-server (own process, fresh folder) ─▶ query API ─▶ **what is printed**

The exit code is 0 only if every line under "Checked" held.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

import backtrail
from backtrail._reading import render as _render
from backtrail._reading.answers import Run
from backtrail.client import Client
from examples import support_bot
from examples.checks import Checks, paths_of_agents, steps_named
from examples.local_server import running_server
from examples.stub_openai import CHAT, REFUNDS, StubServer, running_stub

MESSAGE = "My reading lamp arrived with a broken shade. Please give me my money back."
READABLE_SECONDS = 20


def main(console: Console) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that nothing is left running
    began = time.monotonic()
    with started() as (client, stub):
        checks = asyncio.run(tell(console, client, stub))
    checks.show(console, f"{time.monotonic() - began:.0f} seconds, with starting and stopping the server")
    return 0 if checks.all_held else 1


@contextmanager
def started() -> Iterator[tuple[Client, StubServer]]:
    """A server with nothing in it, a model that answers, and refunds that are down."""
    with (
        tempfile.TemporaryDirectory(prefix="backtrail-demo-") as folder,
        running_server(Path(folder)) as url,
        running_stub(refunds_are_down=True) as stub,
        backtrail.configure(url, service_name="support-bot") as client,
    ):
        os.environ |= {"OPENAI_BASE_URL": f"{stub.url}/v1", "REFUNDS_URL": f"{stub.url}{REFUNDS}"}
        yield client, stub


async def tell(console: Console, client: Client, stub: StubServer) -> Checks:
    checks = Checks()
    failed = await fail(console, client, stub, checks)
    show_failed(console, client, failed, checks)
    show_state(console, client, failed, checks)
    await replay(console, client, failed, stub, checks)
    section(console, "", "backtrail runs")
    console.print(_render.run_table(client.runs().runs))
    await support_bot.http.aclose()
    return checks


async def fail(console: Console, client: Client, stub: StubServer, checks: Checks) -> Run:
    section(console, "An agent's run fails", "python -m examples.support_bot")
    console.print(f"[dim]customer[/dim]  {MESSAGE}")
    try:
        await support_bot.handle(MESSAGE, context=support_bot.Desk(user_id="customer-7"))
        raised = "nothing"
    except support_bot.RefundsAreDown as error:
        raised = f"RefundsAreDown: {error}"
    console.print(f"[dim]support  [/dim] [red]{raised}[/red]")
    checks.that("the run failed late, in pay_refund", raised.startswith("RefundsAreDown"), raised)
    checks.that("the model was asked 5 times", stub.requests[CHAT] == 5, stub.requests)
    return await readable(client, newest(client))


def show_failed(console: Console, client: Client, failed: Run, checks: Checks) -> None:
    section(console, "The run is on record", "backtrail runs")
    console.print(_render.run_table(client.runs().runs))
    section(console, "", f"backtrail show {failed.run_id[:8]}")
    console.print(_render.run_view(failed))

    checks.that("it is on record as failed", failed.status == "failed", failed.status)
    agents = paths_of_agents(failed.tree)
    delegated = ["triage", "triage/refunds", "triage/refunds/researcher"]
    checks.that("three agents, each delegated to by the one before", agents == delegated, agents)
    checks.that("tokens were counted and priced", bool(failed.input_tokens and failed.cost_usd), failed.cost_usd)


def show_state(console: Console, client: Client, failed: Run, checks: Checks) -> None:
    section(console, "What it knew when it failed", f"backtrail state {failed.run_id[:8]} --at failure")
    state = client.get_state(failed.run_id, at="failure")
    console.print(_render.state_view(state))

    known = sorted(state.values["run"])
    checks.that("the state at the failure holds what was found out", known == ["facts", "order", "wish"], known)
    named = [checkpoint.name for checkpoint in client.list_checkpoints(failed.run_id) if not checkpoint.auto]
    checks.that("the checkpoint is there", named == ["facts gathered"], named)


async def replay(console: Console, client: Client, failed: Run, stub: StubServer, checks: Checks) -> None:
    before = stub.requests.copy()
    stub.refunds_are_down = False
    command = f"backtrail replay {failed.run_id[:8]} --app examples.support_bot:handle"
    section(console, "The refund service is back: replay", command)
    result = await client.replay(failed.run_id, support_bot.handle)
    console.print(_render.replay_view(failed.run_id, result))
    replayed = await readable(client, result.run_id)
    section(console, "", f"backtrail show {replayed.run_id[:8]}")
    console.print(_render.run_view(replayed))

    asked = stub.requests - before
    checks.that("the replay completed", replayed.status == "completed", replayed.status)
    checks.that("it is linked to the run that failed", replayed.replay_of == failed.run_id, replayed.replay_of)
    checks.that("6 steps answered from the record, 2 ran", (result.hits, result.live) == (6, 2), result)
    checks.that("the model was asked once more, not 6 times", asked[CHAT] == 1, asked)
    checks.that("the refund was paid once", asked[REFUNDS] == 1, asked)
    parallel = [step.replayed for step in steps_named(replayed.tree, "read_source")]
    checks.that("the parallel branches answered from the record", parallel == [True] * 3, parallel)
    checks.that("the customer has an answer", "49.00 EUR" in str(result.value), result.value)
    untouched = client.run(failed.run_id)
    checks.that("the run that failed is as it was", untouched == failed, untouched)


def newest(client: Client) -> str:
    deadline = time.monotonic() + READABLE_SECONDS
    while time.monotonic() < deadline:
        if runs := client.runs(limit=1).runs:
            return runs[0].run_id
        time.sleep(0.05)
    raise TimeoutError(f"no run was readable after {READABLE_SECONDS} s")


async def readable(client: Client, run_id: str) -> Run:
    """The run once it has ended: its last spans are on their way for a moment."""
    deadline = time.monotonic() + READABLE_SECONDS
    while (run := client.run(run_id)).status == "running":
        if time.monotonic() > deadline:
            raise TimeoutError(f"run {run_id} was not complete after {READABLE_SECONDS} s")
        await asyncio.sleep(0.05)
    return run


def section(console: Console, title: str, command: str) -> None:
    console.print()
    if title:
        console.print(Rule(f"[bold]{title}", align="left", style="dim"))
    console.print(f"[dim]$[/dim] [cyan]{command}")
    console.print()


if __name__ == "__main__":
    try:
        sys.exit(main(Console(width=100, highlight=False)))
    except KeyboardInterrupt:
        sys.exit(130)
