"""What comes out of the record is what went in: results, arguments and errors in their types."""

import json
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
from backtrail._replay.bundle import save_bundle
from backtrail.errors import RecordedError, ResultNotReplayableError
from tests.e2e.replaying import Log


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


class Declined(Exception):
    def __init__(self, *, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class UnknownHere(LookupError):
    pass


AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


async def replayed(client: Client, log: Log, handle: Callable[..., Any], *args: Any, **options: Any) -> Any:
    await handle(*args)
    result = await client.replay(log.run_id, handle, **options)
    assert (result.live, result.divergences) == (0, [])
    return result.value


async def test_a_prompt_made_of_recorded_dicts_is_the_same_prompt(client: Client, log: Log, tmp_path: Path) -> None:
    @backtrail.step
    async def think(prompt: str) -> dict[str, str]:
        return {"role": "assistant", "content": f"{len(prompt)} characters"}

    @backtrail.run
    async def handle(question: dict[str, str], ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        ctx.set_state("last", await think(json.dumps(question)))
        return str(await think(json.dumps(ctx.get_state("last"))))

    value = await replayed(client, log, handle, {"zone": "eu", "ask": "when?"})
    save_bundle(client.get_replay_bundle(log.run_id), tmp_path / "saved.json")
    offline = await client.replay(bundle=tmp_path / "saved.json", fn=handle)

    assert value == "{'role': 'assistant', 'content': '49 characters'}"
    assert (offline.value, offline.live, offline.divergences) == (value, 0, [])


async def test_results_and_arguments_come_back_in_their_types(client: Client, log: Log) -> None:
    @backtrail.step
    async def answer(order: Order) -> tuple[Message, Order, dict[int, bytes]]:
        return Message(text=f"order {order.number}"), order, {1: b"\x00\xff"}

    @backtrail.run
    async def handle(order: Order, *more: Order, ctx: RunContext, scale: float = 2.0) -> Any:
        log.run_id = ctx.run.run_id
        return await answer(order), more, scale

    order = Order(7, Decimal("1.10"), AT, {"a", "b"})
    value = await replayed(client, log, handle, order, order)

    assert value == ((Message(text="order 7"), order, {1: b"\x00\xff"}), (order,), 2.0)


async def test_a_users_dict_never_becomes_a_class(client: Client, log: Log) -> None:
    posing = {"$t": "model", "type": "tests.e2e.test_replay_values:Message", "v": {"text": "x"}}

    @backtrail.step
    async def answer() -> Any:
        return posing

    @backtrail.run
    async def handle(ctx: RunContext) -> Any:
        log.run_id = ctx.run.run_id
        return await answer()

    assert await replayed(client, log, handle) == posing


async def test_each_hit_gives_a_value_of_its_own(client: Client, log: Log) -> None:
    @backtrail.step
    async def answer() -> list[int]:
        return [1]

    @backtrail.run
    async def handle(ctx: RunContext) -> list[list[int]]:
        log.run_id = ctx.run.run_id
        first, second = await answer(), await answer()
        first.append(2)
        return [first, second]

    assert await replayed(client, log, handle) == [[1, 2], [1]]


async def test_handled_errors_are_caught_by_the_same_clauses_with_what_they_carried(client: Client, log: Log) -> None:
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
        log.run_id = ctx.run.run_id
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

    value = await replayed(client, log, handle)

    assert value == [
        ("no funds", 51),
        ("HTTPStatusError", "503"),
        ["one"],
        ["'other'"],
        ("outer", "ValueError('inner')"),
        ("UnknownHere", "nobody registered it", True),
        (FileNotFoundError, 2, "[Errno 2] No such file: '/gone'"),
    ]


async def test_a_class_that_no_annotation_names_comes_back_once_it_is_registered(client: Client, log: Log) -> None:
    @backtrail.step
    async def answer():  # type: ignore[no-untyped-def]
        return Message(text="hi")

    @backtrail.run
    async def handle(ctx: RunContext) -> Any:
        log.run_id = ctx.run.run_id
        return await answer()

    await handle()
    recorded = log.run_id
    with pytest.raises(ResultNotReplayableError, match="register it") as refusal:
        await client.replay(recorded, handle)
    assert refusal.value.reason == "type_unregistered"

    client.register_type(Message)
    assert (await client.replay(recorded, handle)).value == Message(text="hi")
