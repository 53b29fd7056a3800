"""How a replay is asked for: contexts and services, code without an event loop, saved bundles, and refusals."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import backtrail
from backtrail import Client, RunContext
from backtrail._replay.bundle import save_bundle
from backtrail.errors import ApiError, ReplayError
from tests.e2e.replaying import Log


@dataclass
class ShopContext(RunContext):
    user_id: str = ""
    limits: tuple[int, int] = (0, 0)
    shop: Any = None


async def test_a_context_that_no_signature_names_comes_back_in_its_own_class(client: Client, log: Log) -> None:
    @dataclass
    class DeskContext(RunContext):
        user_id: str = ""

    seen: list[object] = []

    @backtrail.run
    async def handle(query: str) -> None:
        context = backtrail.get_current_run_context()
        log.run_id = context.run.run_id
        seen.append((type(context), getattr(context, "user_id", None)))

    await handle("hello", context=DeskContext(user_id="anna"))
    await client.replay(log.run_id, handle)

    assert seen == [(DeskContext, "anna")] * 2


async def test_the_context_has_its_recorded_data_and_the_services_handed_over(client: Client, log: Log) -> None:
    @backtrail.step
    async def ask(ctx: ShopContext) -> str:
        return ctx.user_id

    @backtrail.run
    async def handle(question: str, ctx: ShopContext) -> Any:
        log.run_id = ctx.run.run_id
        return await ask(), ctx.user_id, ctx.limits, ctx.query, ctx.shop()

    def shop() -> str:
        return "open"

    await handle("when?", context=ShopContext(user_id="u1", limits=(1, 2), shop=lambda: "recorded"))
    recorded = log.run_id
    with pytest.raises(ReplayError, match=r"no recording holds shop of .*ShopContext; pass context="):
        await client.replay(recorded, handle)
    with pytest.raises(ReplayError, match="no recording holds shop"):
        await client.replay(recorded, handle, context=ShopContext(user_id="u1"))

    result = await client.replay(recorded, handle, context=ShopContext(shop=shop))
    assert (result.value, result.divergences) == (("u1", "u1", (1, 2), "when?", "open"), [])

    other = await client.replay(recorded, handle, context=ShopContext(user_id="u2", shop=shop))
    assert (other.value[1], [one.kind for one in other.divergences]) == ("u1", ["context_changed"])

    wanted = ShopContext(user_id="u2", shop=shop)
    changed = await client.replay(recorded, handle, context=wanted, context_overrides=["user_id"])
    assert changed.value[:2] == ("u1", "u2")


async def test_a_run_can_be_asked_about_as_soon_as_it_has_ended(client: Client, log: Log) -> None:
    @backtrail.run
    async def handle(ctx: RunContext) -> None:
        log.run_id = ctx.run.run_id
        ctx.set_state("rooms", [7])

    await handle()
    recorded = log.run_id
    replay = await client.replay(recorded, handle)

    assert client.get_state(replay.run_id).values["run"] == {"rooms": [7]}
    assert client.run(replay.run_id).replay_of == recorded


async def test_time_ids_and_chance_are_as_recorded(client: Client, log: Log) -> None:
    @backtrail.step
    async def stamp() -> str:
        return backtrail.generate_id()

    @backtrail.run
    async def handle(ctx: RunContext) -> Any:
        log.run_id = ctx.run.run_id
        return ctx.now(), ctx.uuid(), ctx.random(), backtrail.generate_id(), backtrail.now_utc(), await stamp()

    recorded = await handle()
    result = await client.replay(log.run_id, handle)

    assert result.value == recorded


async def test_a_saved_bundle_is_replayed_without_asking_a_server(client: Client, log: Log, tmp_path: Path) -> None:
    @backtrail.step
    async def answer() -> str:
        return "kept"

    @backtrail.run
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        return await answer()

    await handle()
    first = await client.replay(log.run_id, handle)
    save_bundle(client.get_replay_bundle(first.report.replay_of), tmp_path / "run.json")

    with Client("http://127.0.0.1:9") as elsewhere:
        result = await elsewhere.replay(bundle=tmp_path / "run.json", fn=handle)

    assert (result.value, result.hits) == ("kept", 1)


def test_functions_without_an_event_loop_are_replayed_too(client: Client, log: Log) -> None:
    ran: list[str] = []

    @backtrail.step
    def count(word: str) -> int:
        ran.append(word)
        return len(word)

    @backtrail.step
    def breaks(total: int) -> int:
        ran.append("breaks")
        if ran.count("breaks") == 1:
            raise OSError("the first time")
        return total

    @backtrail.agent
    def worker(text: str) -> int:
        return sum(count(word) for word in text.split())

    @backtrail.run
    def handle(text: str, ctx: RunContext) -> int:
        log.run_id = ctx.run.run_id
        return breaks(worker(text))

    with pytest.raises(OSError, match="the first time"):
        handle("a bc def")
    recorded = log.run_id
    ran.clear()
    ran.append("breaks")
    result = client.replay_sync(recorded, handle)
    assert (result.value, ran[1:]) == (6, ["breaks"])

    result = asyncio.run(client.replay(recorded, handle))
    assert (result.value, result.hits, result.live) == (6, 3, 1)


async def test_methods_and_agents_called_by_themselves_are_runs_too(client: Client, log: Log) -> None:
    @backtrail.step
    async def answer(question: str, ctx: RunContext) -> str:
        log.ran("answer")
        log.run_id = ctx.run.run_id
        return question.upper()

    class Desk:
        sign = "!"

        @backtrail.run
        async def handle(self, question: str) -> str:
            return await answer(question) + self.sign

    @backtrail.agent(name="clerk")
    async def clerk(question: str) -> str:
        return await answer(question)

    desk = Desk()
    await desk.handle("hi")
    result = await client.replay(log.run_id, desk.handle)
    assert (result.value, result.hits, result.live) == ("HI!", 1, 0)

    await clerk("ho")
    result = await client.replay(log.run_id, clerk)
    assert (result.value, result.hits, result.live) == ("HO", 1, 0)


async def test_what_cannot_be_replayed_is_refused_in_a_sentence(
    client: Client, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    @backtrail.run
    async def handle(text: str, ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        return text

    @backtrail.run
    async def renamed(words: str) -> str:
        return words

    async def undecorated(text: str) -> str:
        return text

    await handle("hi")
    recorded = log.run_id
    await client.replay(recorded, handle)
    with pytest.raises(ReplayError, match="'fork' is not available; there is 'resume'"):
        await client.replay(recorded, handle, mode="fork")
    with pytest.raises(ReplayError, match=r"decorated with @backtrail\.run"):
        await client.replay(recorded, undecorated)
    with pytest.raises(ReplayError, match=r"decorated with @backtrail\.run"):
        await client.replay(recorded, backtrail.step(undecorated))
    with pytest.raises(ReplayError, match="has no parameter text"):
        await client.replay(recorded, renamed)
    with pytest.raises(ReplayError, match="either a run_id or bundle="):
        await client.replay(fn=handle)
    with pytest.raises(TypeError, match="unexpected keyword argument 'overide'"):
        await client.replay(recorded, handle, overide={})  # type: ignore[call-arg]
    monkeypatch.setattr("backtrail.client.SETTLE_SECONDS", 0.1)
    with pytest.raises(ApiError, match=r"no run or trace 0+1 ") as refusal:
        await client.replay("0" * 31 + "1", handle)
    assert refusal.value.status == 404


async def test_in_a_notebook_the_awaited_replay_is_named(client: Client, log: Log) -> None:
    @backtrail.run
    async def handle(query: str) -> str:
        log.run_id = backtrail.get_current_run_context().run.run_id
        return query

    await handle("hello")

    with pytest.raises(ReplayError, match=r"as in a notebook: await client\.replay\(…\)"):
        client.replay_sync(log.run_id, handle)
    with pytest.raises(ValueError, match=r"^on_input_change is one of live, reuse, raise, not 'liv'$"):
        await client.replay(log.run_id, handle, on_input_change="liv")  # type: ignore[arg-type]


async def test_a_function_of_another_name_is_a_divergence(client: Client, log: Log) -> None:
    @backtrail.run
    async def handle(query: str) -> str:
        log.run_id = backtrail.get_current_run_context().run.run_id
        return query

    @backtrail.run
    async def close(query: str) -> str:
        return f"closed {query}"

    await handle("hello")
    result = await client.replay(log.run_id, close)

    assert result.value == "closed hello"
    [difference] = result.divergences
    assert difference.kind == "code_changed"
    assert re.fullmatch(r".*handle was recorded, and .*close is called", difference.detail)
