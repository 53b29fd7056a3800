"""Whatever can be called can be recorded, in whichever order decorators stand, and goes on as it was."""

import asyncio
import functools
import inspect
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import backtrail
from backtrail import semconv
from backtrail.testing import CapturedSpans, capture_spans


def steps(spans: CapturedSpans) -> list[tuple[str, Any]]:
    return [(span.name, (span.attributes or {}).get(semconv.STEP_RESULT)) for span in spans.of_kind("step")]


class Shop:
    currency = "EUR"

    @backtrail.step
    @staticmethod
    def inside(price: int) -> int:
        return price + 1

    @staticmethod
    @backtrail.step
    def outside(price: int) -> int:
        return price + 2

    @backtrail.step(kind="tool")
    @classmethod
    def of_class(cls, price: int) -> str:
        return f"{price} {cls.currency}"

    @classmethod
    @backtrail.tool
    async def later(cls, price: int) -> str:
        return f"{price} {cls.currency}"

    @property
    @backtrail.step
    def open(self) -> bool:
        return True


class CheapShop(Shop):
    currency = "USD"


def test_methods_of_every_kind_are_recorded_on_either_side_of_the_decorator() -> None:
    @backtrail.run
    def main() -> list[Any]:
        shop = CheapShop()
        return [shop.inside(1), Shop.inside(1), shop.outside(1), shop.of_class(1), Shop.of_class(1), shop.open]

    with capture_spans() as spans:
        assert main() == [2, 2, 3, "1 USD", "1 EUR", True]
        assert asyncio.run(backtrail.run(CheapShop.later)(5)) == "5 USD"

    assert [name for name, _ in steps(spans)] == [
        *("inside", "inside", "outside", "execute_tool of_class", "execute_tool of_class", "open"),
        "execute_tool later",
    ]


def test_a_function_is_decorated_in_one_call_with_its_options() -> None:
    decorate: Any = backtrail.step

    lookup = decorate(str.upper, kind="tool")

    with capture_spans() as spans:
        assert backtrail.run(lambda: lookup("a"))() == "A"
    assert steps(spans) == [("execute_tool upper", '"A"')]


@pytest.mark.parametrize("decorate", [backtrail.run, backtrail.agent, backtrail.step, backtrail.tool])
def test_what_is_no_function_is_refused_where_it_is_decorated(decorate: Any) -> None:
    with pytest.raises(TypeError, match="not 5"):
        decorate(5)


def test_a_parameter_that_a_decorator_names_has_to_be_there() -> None:
    with pytest.raises(TypeError, match=r"look_up\(\) has no parameter 'api_kay'"):

        @backtrail.step(ignore="api_kay")
        def look_up(api_key: str) -> None: ...

    with pytest.raises(TypeError, match=r"main\(\) has no parameter 'words'"):

        @backtrail.run(query="words")
        def main(question: str) -> None: ...

    @backtrail.step(ignore="n", raises=LookupError)
    def either(n: int, **more: Any) -> int:
        return n

    @backtrail.run(query="words")
    def open_to_all(**more: str) -> int:
        return either(1) + either(2)

    with capture_spans() as spans:
        assert open_to_all(words="hello") == 3
    assert len({(span.attributes or {})[semconv.STEP_INPUT_HASH] for span in spans.of_kind("step")}) == 1


def test_other_decorators_go_above_and_below() -> None:
    calls: list[str] = []

    def twice(function: Callable[[str], str]) -> Callable[[str], str]:
        @functools.wraps(function)
        def again(text: str) -> str:
            try:
                return function(text)
            except ConnectionError:
                return function(text)

        return again

    def flaky(text: str) -> str:
        calls.append(text)
        if len(calls) % 2:
            raise ConnectionError
        return text

    above, below = twice(backtrail.step("above")(flaky)), backtrail.step("below")(twice(flaky))
    cached = functools.lru_cache(backtrail.step("cached")(str.lower))

    with capture_spans() as spans:
        assert backtrail.run(lambda: [above("a"), below("b"), cached("C"), cached("C")])() == ["a", "b", "c", "c"]

    assert steps(spans) == [("above", None), ("above", '"a"'), ("below", '"b"'), ("cached", '"c"')]


def test_a_recursion_without_end_ends_as_it_would_and_the_run_goes_on() -> None:
    @backtrail.step
    def deeper(n: int) -> int:
        return deeper(n + 1)

    @backtrail.step
    def fine() -> str:
        return "fine"

    @backtrail.run
    def main() -> str:
        with pytest.raises(RecursionError):
            deeper(0)
        return fine()

    with capture_spans(strict=False) as spans:
        assert main() == "fine"
    assert steps(spans)[-1] == ("fine", '"fine"')
    assert spans.named("fine").parent == spans.named("invoke_agent default").context


def test_one_block_object_serves_several_tasks_at_a_time() -> None:
    shared = backtrail.step("shared")

    async def use(n: int, seconds: float) -> None:
        with shared as this:
            this.set_attribute("n", n)
            await asyncio.sleep(seconds)
            assert backtrail.get_current_step_context() is this
            this.complete(n)

    @backtrail.run
    async def main() -> None:
        await asyncio.gather(use(0, 0.03), use(1, 0.01), use(2, 0.02))

    with capture_spans() as spans:
        asyncio.run(main())

    ended = [dict(span.attributes or {}) for span in spans.of_kind("step")]
    assert [(step["n"], step[semconv.STEP_RESULT]) for step in ended] == [(1, "1"), (2, "2"), (0, "0")]


def test_a_task_that_outlives_its_run_is_recorded_whole() -> None:
    @backtrail.step
    async def later() -> None:
        await asyncio.sleep(0.01)

    async def program() -> None:
        tasks = []

        @backtrail.run
        async def main() -> None:
            tasks.append(asyncio.create_task(later()))

        await main()
        await tasks[0]

    with capture_spans() as spans:
        asyncio.run(program())

    assert spans.named("later").parent == spans.named("invoke_agent default").context
    assert (spans.named("invoke_agent default").attributes or {})[semconv.AGENT_STATUS] == "completed"
    numbers = {(span.attributes or {})[semconv.NUMBER] for span in spans}
    assert numbers == set(range(1, len(spans) + 1))


def test_frameworks_see_what_a_caller_passes_and_what_comes_back() -> None:
    @backtrail.tool
    async def look_up(order_id: str, ctx: backtrail.RunContext, limit: int = 10) -> str:
        return f"{order_id} {limit}"

    @backtrail.run
    @backtrail.step
    def twice_decorated(words: str, ctx: "backtrail.RunContext | None" = None) -> str:
        return ctx.get("a", "none") if ctx else "nothing"

    assert str(inspect.signature(look_up)) == "(order_id: str, limit: int = 10) -> str"
    assert inspect.iscoroutinefunction(look_up)
    assert list(inspect.signature(look_up.__wrapped__).parameters) == ["order_id", "ctx", "limit"]
    assert list(inspect.signature(twice_decorated).parameters) == ["words"]
    assert list(inspect.signature(twice_decorated.with_options()).parameters) == ["words"]
    with capture_spans():
        assert twice_decorated("w", backtrail.RunContext(metadata={"a": "given"})) == "given"


def test_an_endpoint_of_fastapi_may_ask_for_the_context() -> None:
    app = FastAPI()

    @app.get("/ask")
    @backtrail.run
    async def ask(question: str, ctx: backtrail.RunContext) -> str:
        return f"{question} as {ctx.query}"

    with capture_spans():
        assert TestClient(app).get("/ask", params={"question": "lamps?"}).json() == "lamps? as lamps?"


def test_what_else_a_callable_can_do_it_can_do_decorated() -> None:
    lower = backtrail.step(functools.lru_cache(str.lower))

    with capture_spans():
        assert backtrail.run(lambda: lower("A") + lower("A"))() == "aa"

    assert lower.cache_info().hits == 1  # type: ignore[attr-defined]
    lower.cache_clear()  # type: ignore[attr-defined]
    assert lower.cache_info().hits == 0  # type: ignore[attr-defined]


def test_a_step_has_no_options_that_it_would_not_heed() -> None:
    @backtrail.step
    def look(ctx: backtrail.RunContext) -> None: ...

    assert not hasattr(look, "with_options")


def test_a_traceback_has_two_frames_of_ours_for_each_of_the_users() -> None:
    @backtrail.step
    def fails() -> None:
        raise LookupError

    @backtrail.run
    def main() -> None:
        fails()

    with capture_spans(), pytest.raises(LookupError) as caught:
        main()

    frames = [Path(frame.filename).name for frame in traceback.extract_tb(caught.tb)]
    assert frames == ["test_callables.py", *["calls.py", "calls.py", "test_callables.py"] * 2]


async def test_a_coroutine_has_the_name_of_its_function() -> None:
    @backtrail.step
    async def look_up() -> None: ...

    with capture_spans(), backtrail.run("r"):
        coroutine: Any = look_up()
        assert (coroutine.__name__, coroutine.__qualname__) == (look_up.__name__, look_up.__wrapped__.__qualname__)
        await coroutine


def test_an_error_costs_each_step_it_passes_the_same_however_many_there_are() -> None:
    @backtrail.step
    def deeper(n: int) -> None:
        if n == 0:
            raise LookupError
        deeper(n - 1)

    def seconds_a_step(steps: int) -> float:
        start = time.perf_counter()
        with pytest.raises(LookupError):
            backtrail.run(deeper)(steps)
        return (time.perf_counter() - start) / steps

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        with capture_spans():
            assert seconds_a_step(800) < 4 * seconds_a_step(100)
    finally:
        sys.setrecursionlimit(limit)
