"""What comes out of the record is what went in: results, errors, arguments and contexts, in their types."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

import backtrail
from backtrail import Client, RunContext
from backtrail._bundle import save_bundle
from backtrail.errors import ApiError, RecordedError, ReplayError, ResultNotReplayableError


class Tone(Enum):
    CALM = "calm"


class Message(BaseModel):
    text: str
    tone: Tone = Tone.CALM


@dataclass
class Order:
    number: int
    price: Decimal
    at: datetime
    tags: set[str]


@dataclass
class ShopContext(RunContext):
    user_id: str = ""
    limits: tuple[int, int] = (0, 0)
    shop: Any = None


class Declined(Exception):
    def __init__(self, *, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class UnknownHere(LookupError):
    pass


class Ids:
    """The id of the run that started last."""

    last = ""


ids = Ids()
AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


async def replayed(client: Client, handle: Callable[..., Any], *args: Any, **options: Any) -> Any:
    await handle(*args)
    result = await client.replay(ids.last, handle, **options)
    assert (result.live, result.divergences) == (0, [])
    return result.value


async def test_results_and_arguments_come_back_in_their_types(client: Client) -> None:
    @backtrail.step
    async def answer(order: Order) -> tuple[Message, Order, dict[int, bytes]]:
        return Message(text=f"order {order.number}"), order, {1: b"\x00\xff"}

    @backtrail.run
    async def handle(order: Order, *more: Order, ctx: RunContext, scale: float = 2.0) -> Any:
        ids.last = ctx.run.run_id
        return await answer(order), more, scale

    order = Order(7, Decimal("1.10"), AT, {"a", "b"})
    value = await replayed(client, handle, order, order)

    assert value == ((Message(text="order 7"), order, {1: b"\x00\xff"}), (order,), 2.0)


async def test_a_users_dict_never_becomes_a_class(client: Client) -> None:
    posing = {"$t": "model", "type": "tests.e2e.test_replay_values:Message", "v": {"text": "x"}}

    @backtrail.step
    async def answer() -> Any:
        return posing

    @backtrail.run
    async def handle(ctx: RunContext) -> Any:
        ids.last = ctx.run.run_id
        return await answer()

    assert await replayed(client, handle) == posing


async def test_each_hit_gives_a_value_of_its_own(client: Client) -> None:
    @backtrail.step
    async def answer() -> list[int]:
        return [1]

    @backtrail.run
    async def handle(ctx: RunContext) -> list[list[int]]:
        ids.last = ctx.run.run_id
        first, second = await answer(), await answer()
        first.append(2)
        return [first, second]

    assert await replayed(client, handle) == [[1, 2], [1]]


async def test_handled_errors_are_caught_by_the_same_clauses_with_what_they_carried(client: Client) -> None:
    request = httpx.Request("GET", "http://shop.example/")

    def fail(kind: str) -> None:
        match kind:
            case "keyword-only":
                raise Declined(code=51, reason="no funds")
            case "of a library":
                raise httpx.HTTPStatusError("503", request=request, response=httpx.Response(503, request=request))
            case "group":
                raise ExceptionGroup("two", [ValueError("one"), KeyError("other")])
            case "from":
                raise RuntimeError("outer") from ValueError("inner")
            case "unknown":
                raise UnknownHere("nobody registered it")
            case "os":
                raise FileNotFoundError(2, "No such file", "/gone")

    @backtrail.step(raises=(Declined, httpx.HTTPStatusError))
    async def breaks(kind: str) -> None:
        fail(kind)

    @backtrail.run
    async def handle(ctx: RunContext) -> list[Any]:
        ids.last = ctx.run.run_id
        seen: list[Any] = []
        try:
            await breaks("keyword-only")
        except Declined as error:
            seen.append((str(error), error.code))
        try:
            await breaks("of a library")
        except httpx.HTTPError as error:
            seen.append((type(error).__name__, str(error)))
        try:
            await breaks("group")
        except* ValueError as group:
            seen.append([str(error) for error in group.exceptions])
        except* KeyError as group:
            seen.append([str(error) for error in group.exceptions])
        try:
            await breaks("from")
        except RuntimeError as error:
            seen.append((str(error), repr(error.__cause__)))
        try:
            await breaks("unknown")
        except LookupError as error:
            seen.append((type(error).__name__, str(error), isinstance(error, RecordedError)))
        try:
            await breaks("os")
        except OSError as error:
            seen.append((type(error), error.errno, str(error)))
        return seen

    value = await replayed(client, handle)

    assert value == [
        ("no funds", 51),
        ("HTTPStatusError", "503"),
        ["one"],
        ["'other'"],
        ("outer", "ValueError('inner')"),
        ("UnknownHere", "nobody registered it", True),
        (FileNotFoundError, 2, "[Errno 2] No such file: '/gone'"),
    ]


async def test_the_context_has_its_recorded_data_and_the_services_handed_over(client: Client) -> None:
    @backtrail.step
    async def ask(ctx: ShopContext) -> str:
        return ctx.user_id

    @backtrail.run
    async def handle(question: str, ctx: ShopContext) -> Any:
        ids.last = ctx.run.run_id
        return await ask(), ctx.user_id, ctx.limits, ctx.query, ctx.shop()

    def shop() -> str:
        return "open"

    await handle("when?", context=ShopContext(user_id="u1", limits=(1, 2), shop=lambda: "recorded"))
    recorded = ids.last
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


async def test_time_ids_and_chance_are_as_recorded(client: Client) -> None:
    @backtrail.step
    async def stamp() -> str:
        return backtrail.generate_id()

    @backtrail.run
    async def handle(ctx: RunContext) -> Any:
        ids.last = ctx.run.run_id
        return ctx.now(), ctx.uuid(), ctx.random(), backtrail.generate_id(), backtrail.now_utc(), await stamp()

    recorded = await handle()
    result = await client.replay(ids.last, handle)

    assert result.value == recorded


async def test_a_class_that_no_annotation_names_comes_back_once_it_is_registered(client: Client) -> None:
    @backtrail.step
    async def answer():  # type: ignore[no-untyped-def]
        return Message(text="hi")

    @backtrail.run
    async def handle(ctx: RunContext) -> Any:
        ids.last = ctx.run.run_id
        return await answer()

    await handle()
    recorded = ids.last
    with pytest.raises(ResultNotReplayableError, match="register it") as refusal:
        await client.replay(recorded, handle)
    assert refusal.value.reason == "type_unregistered"

    client.register_type(Message)
    assert (await client.replay(recorded, handle)).value == Message(text="hi")


async def test_a_saved_bundle_is_replayed_without_asking_a_server(client: Client, tmp_path: Path) -> None:
    @backtrail.step
    async def answer() -> Message:
        return Message(text="kept")

    @backtrail.run
    async def handle(ctx: RunContext) -> Message:
        ids.last = ctx.run.run_id
        return await answer()

    await handle()
    first = await client.replay(ids.last, handle)
    save_bundle(client.get_replay_bundle(first.report.replay_of), tmp_path / "run.json")

    with Client("http://127.0.0.1:9") as elsewhere:
        result = await elsewhere.replay(bundle=tmp_path / "run.json", fn=handle)

    assert (result.value, result.hits) == (Message(text="kept"), 1)


def test_functions_without_an_event_loop_are_replayed_too(client: Client) -> None:
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
        ids.last = ctx.run.run_id
        return breaks(worker(text))

    with pytest.raises(OSError, match="the first time"):
        handle("a bc def")
    recorded = ids.last
    ran.clear()
    ran.append("breaks")
    result = client.replay_sync(recorded, handle)
    assert (result.value, ran[1:]) == (6, ["breaks"])

    result = asyncio.run(client.replay(recorded, handle))
    assert (result.value, result.hits, result.live) == (6, 3, 1)


async def test_what_cannot_be_replayed_is_refused_in_a_sentence(client: Client) -> None:
    @backtrail.run
    async def handle(text: str, ctx: RunContext) -> str:
        ids.last = ctx.run.run_id
        return text

    @backtrail.run
    async def renamed(words: str) -> str:
        return words

    async def undecorated(text: str) -> str:
        return text

    await handle("hi")
    recorded = ids.last
    await client.replay(recorded, handle)
    with pytest.raises(ReplayError, match="'fork' is not available; there is 'resume'"):
        await client.replay(recorded, handle, mode="fork")
    with pytest.raises(ReplayError, match=r"decorated with @backtrail\.run"):
        await client.replay(recorded, undecorated)
    with pytest.raises(ReplayError, match="has no parameter text"):
        await client.replay(recorded, renamed)
    with pytest.raises(ReplayError, match="either a run_id or bundle="):
        await client.replay(fn=handle)
    with pytest.raises(TypeError, match="unexpected keyword argument 'overide'"):
        await client.replay(recorded, handle, overide={})  # type: ignore[call-arg]
    with pytest.raises(ApiError, match=r"no run or trace 0+1 ") as refusal:
        await client.replay("0" * 31 + "1", handle)
    assert refusal.value.status == 404
