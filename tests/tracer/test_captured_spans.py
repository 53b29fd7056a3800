"""What `backtrail.testing` offers to tests of other people's programs."""

import asyncio
from dataclasses import dataclass

import pytest

import backtrail
from backtrail.testing import capture_spans


@dataclass
class Order:
    order_id: str
    parts: tuple[int, ...]


@backtrail.step(kind="tool")
async def look_up(order_id: str) -> Order:
    return Order(order_id, (1, 2))


@backtrail.step(retries=1)
async def pay(order: Order) -> str:
    raise ConnectionError("the bank is closed")


@backtrail.agent(name="refunds")
async def refund(order_id: str) -> str:
    order = await look_up(order_id)
    backtrail.get_current_run_context().set_state("order", order)
    try:
        return await pay(order)
    except ConnectionError:
        return "later"


@backtrail.run
async def handle(query: str) -> str:
    return await refund("A-1042")


async def test_the_tree_says_what_ran_and_what_failed() -> None:
    with capture_spans() as spans:
        await handle("my lamp is broken")

    tree = """\
run handle
  agent refunds
    tool look_up
    step pay ! ConnectionError
      attempt 1 ! ConnectionError
      attempt 2 ! ConnectionError"""
    assert spans.tree() == tree
    assert repr(spans) == f"<{len(spans)} spans\n{tree}>"


async def test_inputs_results_and_errors_are_plain_values() -> None:
    with capture_spans() as spans:
        await handle("my lamp is broken")

    order = {"order_id": "A-1042", "parts": (1, 2)}
    assert spans.named("handle").result == "later"
    assert spans.named("look_up").input == {"order_id": "A-1042"}
    assert spans.named("execute_tool look_up").result == order
    assert spans.named("pay").input == {"order": order}
    assert spans.named("pay").result is None
    assert spans.named("pay").error["message"] == "the bank is closed"
    assert [repr(span) for span in spans.of_kind("agent") + spans.of_kind("tool")] == [
        "<agent refunds>",
        "<tool look_up>",
    ]


def test_a_name_that_is_not_there_is_answered_with_the_tree() -> None:
    with capture_spans() as spans:
        asyncio.run(handle("my lamp is broken"))

    with pytest.raises(AssertionError, match="0 spans are named 'search'; there are\nrun handle\n  agent refunds"):
        spans.named("search")


async def test_concurrent_steps_stand_in_the_order_they_began() -> None:
    @backtrail.step
    async def wait(name: str, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    @backtrail.run
    async def both() -> None:
        await asyncio.gather(wait("slow", 3), wait("quick", 1))

    with capture_spans() as spans:
        await both()

    assert [span.input["name"] for span in spans.of_kind("step")] == ["quick", "slow"]
    assert spans.tree() == "run both\n  agent default\n    step wait\n    step wait"
