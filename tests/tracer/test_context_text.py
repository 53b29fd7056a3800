"""A context as text: what it holds, who may read it, and that the conversation goes on."""

import asyncio
import gc
import json
import weakref
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

import backtrail
from backtrail import RunContext, get_current_run_context, semconv
from backtrail._contexts.remembered import _kept
from backtrail.contexts import ExecutionContext
from backtrail.errors import ContextClassError, ContextError, ContextTextError, MissingServiceError
from backtrail.testing import capture_spans


class Database:
    """What no text can hold."""


@dataclass
class Address:
    city: str
    since: datetime


@dataclass
class Order:
    order_id: str
    total: Decimal


@dataclass
class ShopContext(RunContext):
    user_id: str
    db: Database
    address: Address | None = None
    tags: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class FrozenShop(ExecutionContext):  # type: ignore[misc]
    user_id: str


@backtrail.agent(name="billing")
def billing(message: str) -> str:
    return f"billing: {message}"


@backtrail.agent(name="triage")
def triage(message: str, ctx: RunContext) -> str:
    ctx.set_state("history", [*ctx.get_state("history", default=[]), message])
    return billing(message) if "invoice" in message else f"triage: {message}"


@backtrail.run(name="chat")
def chat(message: str) -> str:
    return triage(message)


def test_a_context_comes_back_with_its_types_its_state_and_its_conversation() -> None:
    address = Address("Bern", datetime(2020, 1, 1, tzinfo=UTC))
    given = ShopContext("u1", Database(), address, {"vip"}, metadata={"request": "r1"})
    with capture_spans():
        chat.with_options(conversation_id="c-1")("my invoice", context=given)
    text = given.to_json()

    other = Database()
    restored = ShopContext.from_json(text, db=other)

    assert (restored.context.user_id, restored.context.address, restored.context.tags) == ("u1", address, {"vip"})
    assert restored.context.db is other
    assert restored.context.metadata == {"request": "r1"}
    assert (restored.state, restored.conversation_id, restored.current_agent) == (
        {"history": ["my invoice"]},
        "c-1",
        "billing",
    )
    assert restored.left_out == ()
    written = json.loads(text)
    assert (written["schema"], written["services"]) == ("backtrail-context/1", ["db"])
    assert "Database" not in text


def test_a_restored_context_goes_on_where_the_conversation_stood() -> None:
    given = FrozenShop("u1")
    with capture_spans() as spans:
        chat.with_options(conversation_id="c-1")("hello", context=given)
        restored = FrozenShop.from_json(given.to_json())
        chat("and my invoice?", context=restored)
        chat.with_options(context=restored, state={"history": ["other"]}, conversation_id="c-2")("bye")
        with backtrail.run("by hand", context=restored) as ctx, backtrail.agent("a"):
            assert ctx.get_state("history") == ["hello"]
        with backtrail.Client().start_run("by client", context=restored, state={"more": 1}) as ctx:
            assert (ctx.get_state("history"), ctx.get_state("more")) == (["hello"], 1)

    again = FrozenShop.from_json(restored.context.to_json())
    assert restored.state == {"history": ["hello"]}
    assert again.state == {"history": ["hello"], "more": 1}
    conversations = [(span.attributes or {}).get(semconv.GEN_AI_CONVERSATION_ID) for span in spans.of_kind("run")]
    assert conversations == ["c-1", "c-1", "c-2", "c-1", "c-1"]


def test_a_restored_context_may_stand_where_the_context_does() -> None:
    @backtrail.run
    def main(message: str, ctx: FrozenShop) -> tuple[str, Any]:
        return ctx.user_id, ctx.get_state("n")

    restored: Any = FrozenShop.from_json(FrozenShop("u1").to_json())
    with capture_spans():
        assert main("q", restored) == ("u1", None)
        assert main("q", ctx=restored) == ("u1", None)
        assert billing("q", context=restored) == "billing: q"


def test_inside_a_run_the_text_says_what_is_so_at_that_moment() -> None:
    texts: list[str] = []

    @backtrail.step
    def look() -> None: ...

    @backtrail.agent
    def helper() -> None:
        texts.append(get_current_run_context().to_json())

    @backtrail.agent
    def lead(ctx: RunContext) -> None:
        ctx.set_state("n", 1)
        texts.append(ctx.to_json())
        helper()
        look()
        ctx.set_state("n", 2)
        texts.append(ctx.to_json())

    @backtrail.run
    def main(ctx: RunContext) -> RunContext:
        lead()
        return ctx

    with capture_spans():
        texts.append(main().to_json())

    found = [RunContext.from_json(text) for text in texts]
    assert [(each.state["n"], each.current_agent) for each in found] == [
        (1, "lead"),
        (1, "helper"),
        (2, "lead"),
        (2, "lead"),
    ]


def test_a_context_that_was_in_no_run_has_no_state() -> None:
    restored = FrozenShop.from_json(FrozenShop("u1", query="q").to_json())

    assert (restored.context.query, restored.state, restored.conversation_id, restored.current_agent) == (
        "q",
        {},
        None,
        None,
    )


def test_what_no_text_can_hold_is_named() -> None:
    given = RunContext(metadata={"db": Database(), "request": "r1"})
    with capture_spans(strict=False), backtrail.run("r", context=given) as ctx:
        ctx.set_state("connection", [Database()])
        ctx.set_state("n", 1)

    restored = RunContext.from_json(given.to_json())

    assert (restored.context.metadata, restored.state) == ({"request": "r1"}, {"n": 1})
    assert restored.left_out == ("metadata.db", "state.connection")


def test_missing_services_are_named() -> None:
    text = ShopContext("u1", Database()).to_json()

    with pytest.raises(
        MissingServiceError, match=r"no text holds db of ShopContext; call from_json\(text, db=…\)"
    ) as caught:
        ShopContext.from_json(text)
    assert caught.value.names == ("db",)
    with pytest.raises(TypeError, match="no field 'cache'"):
        ShopContext.from_json(text, db=Database(), cache=1)
    assert ShopContext.from_json(text, db=None, user_id="u2").context.user_id == "u2"


def test_a_class_that_has_changed_reads_what_it_can() -> None:
    @dataclass(frozen=True)
    class Grown(FrozenShop):  # type: ignore[misc]
        tier: str = "basic"

    @dataclass(frozen=True)
    class Demanding(FrozenShop):  # type: ignore[misc]
        tier: str = field(kw_only=True)

    text = FrozenShop("u1").to_json()
    fewer = json.loads(text)
    fewer["fields"]["gone"] = 1

    with pytest.raises(MissingServiceError, match="tier"):
        Demanding.from_json(text)
    assert Demanding.from_json(text, tier="gold").context.tier == "gold"
    assert Grown.from_json(text).context.tier == "basic"
    assert FrozenShop.from_json(json.dumps(fewer)).context.user_id == "u1"


def test_another_class_is_refused() -> None:
    with pytest.raises(ContextClassError, match=r"test_context_text:FrozenShop, not a .*:ShopContext"):
        ShopContext.from_json(FrozenShop("u1").to_json(), db=Database())


GOOD = json.loads(FrozenShop("u1", task_id="t").to_json())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "NaN",
        b"\xff\xfe",
        "[" * 100_000,
        "{}",
        json.dumps({"schema": "backtrail-context/2"}),
        json.dumps({**GOOD, "schema": ["x" * 1000]}),
        json.dumps({**GOOD, "fields": []}),
        json.dumps({**GOOD, "state": None}),
        json.dumps({**GOOD, "services": [1]}),
        json.dumps({**GOOD, "conversation_id": 1}),
        json.dumps({**GOOD, "fields": {"user_id": {"$t": "bytes", "v": "!"}}}),
        json.dumps({**GOOD, "fields": {"user_id": {"$t": "pickle", "v": "!"}}}),
        json.dumps({**GOOD, "state": {"n": {"$t": "dataclass", "type": "os:system", "v": {}}}}),
        None,
        17,
    ],
)
def test_a_text_that_is_no_context_is_refused_in_words(text: Any) -> None:
    with pytest.raises(ContextTextError) as caught:
        FrozenShop.from_json(text)
    assert isinstance(caught.value, ContextError)
    assert 20 < len(str(caught.value)) < 500


def test_classes_in_the_state_come_back_if_they_are_passed_along() -> None:
    given = RunContext()
    order = Order("A-1", Decimal("9.90"))
    with capture_spans(), backtrail.run("r", context=given) as ctx:
        ctx.set_state("order", order)

    text = given.to_json()
    assert RunContext.from_json(text, Order).state == {"order": order}
    with pytest.raises(ContextTextError, match=r"state\.order cannot be read.*from_json\(text, Order, …\)"):
        RunContext.from_json(text)


def test_what_a_recording_redacts_is_whole_in_the_text() -> None:
    given = RunContext(metadata={"password": "hunter2"})
    with capture_spans() as spans, backtrail.run("r", context=given) as ctx:
        ctx.set_state("mail", "ada@example.org")

    restored = RunContext.from_json(given.to_json())

    assert (restored.context.metadata, restored.state) == ({"password": "hunter2"}, {"mail": "ada@example.org"})
    assert "hunter2" not in str([span.attributes for span in spans])


def test_a_context_forgets_its_run_when_it_goes() -> None:
    gc.collect()
    before = len(_kept)
    given = FrozenShop("u1")
    gone = weakref.ref(given)
    with capture_spans() as spans:
        for _ in range(3):
            chat("hello", context=given)
    assert len(spans.of_kind("run")) == 3
    gc.collect()
    assert len(_kept) <= before + 1

    del given
    gc.collect()
    assert gone() is None
    assert len(_kept) <= before


async def test_two_runs_with_one_context_do_not_see_each_other() -> None:
    given = RunContext(metadata={"seen": [], "limits": {"n": 1}})
    both = asyncio.Barrier(2)

    @backtrail.run
    async def main(name: str, ctx: RunContext) -> Any:
        ctx.set_state("name", name)
        ctx.metadata["seen"].append(name)
        ctx.metadata["limits"][name] = 2
        await both.wait()
        ctx.get_state("name").upper()
        return ctx.get_state("name"), ctx.metadata, json.loads(ctx.to_json())["state"]

    with capture_spans():
        results = list(await asyncio.gather(main("a", context=given), main("b", context=given)))

    assert results == [(name, {"seen": [name], "limits": {"n": 1, name: 2}}, {"name": name}) for name in ("a", "b")]
    assert given.metadata == {"seen": [], "limits": {"n": 1}}
    assert given.query == ""


def test_state_that_was_read_or_written_is_a_copy() -> None:
    @backtrail.run
    def main(ctx: RunContext) -> Any:
        mine = {"n": [1]}
        ctx.set_state("mine", mine)
        mine["n"].append(2)
        ctx.get_state("mine")["n"].append(3)
        return ctx.get_state("mine")

    with capture_spans():
        assert main() == {"n": [1]}


def test_a_service_is_handed_on_as_it_is() -> None:
    db = Database()
    with capture_spans(strict=False), backtrail.run("r", context=RunContext(metadata={"db": db, "in": [db]})) as ctx:
        assert ctx.metadata["db"] is db
        assert ctx.metadata["in"][0] is db
