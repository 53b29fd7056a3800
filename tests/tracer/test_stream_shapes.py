"""A decorated generator stays the generator it was, whatever it is called through."""

import asyncio
import contextlib
import functools
import inspect
import json
import types
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any

import pytest

import backtrail
from backtrail import semconv
from backtrail.testing import capture_spans
from tests.tracer.streams import attributes, count, look_up, stream, upto, words

pytestmark = pytest.mark.usefixtures("no_detach_line")


def echoes() -> Generator[str, str, str]:
    heard = yield "ready"
    while heard != "stop":
        try:
            heard = yield f"{heard}!"
        except KeyError as error:
            heard = yield f"caught {error.args[0]}"
    return "stopped"


def converse(talk: Any) -> list[Any]:
    said = [next(talk), talk.send("a"), talk.throw(KeyError("b")), talk.send("c")]
    try:
        talk.send("stop")
    except StopIteration as stop:
        said.append(stop.value)
    return said


def test_send_throw_and_the_returned_value_work_as_before() -> None:
    decorated = backtrail.step("echoes")(echoes)
    with capture_spans() as spans:
        assert backtrail.run(lambda: converse(decorated()))() == converse(echoes())
    assert stream(spans, "echoes")["chunks"] == ["ready", "a!", "caught b", "c!"]
    assert stream(spans, "echoes")["thrown"] == [2]


async def aechoes() -> AsyncGenerator[str, str]:
    heard = yield "ready"
    while heard != "stop":
        try:
            heard = yield f"{heard}!"
        except KeyError as error:
            heard = yield f"caught {error.args[0]}"


async def aconverse(talk: Any) -> list[Any]:
    said = [await anext(talk), await talk.asend("a"), await talk.athrow(KeyError("b")), await talk.asend("c")]
    with pytest.raises(StopAsyncIteration):
        await talk.asend("stop")
    return said


async def test_asend_athrow_and_aclose_work_as_before() -> None:
    decorated = backtrail.step("echoes")(aechoes)

    @backtrail.run
    async def main() -> list[Any]:
        said = await aconverse(decorated())
        closed = decorated()
        await anext(closed)
        await closed.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(closed)
        return said

    with capture_spans() as spans:
        assert await main() == await aconverse(aechoes())
    first, second = (json.loads((span.attributes or {})[semconv.STEP_STREAM]) for span in spans.of_kind("step"))  # type: ignore[arg-type]
    assert (first["count"], first["thrown"]) == (4, [2])
    assert (second["count"], second["closed_by"]) == (1, "consumer")


@pytest.mark.parametrize("decorate", [backtrail.step, lambda function: function])
def test_a_body_that_will_not_close_is_refused_as_before(decorate: Any) -> None:
    def stubborn() -> Iterator[int]:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    @backtrail.run
    def main() -> None:
        items = decorate(stubborn)()
        assert next(items) == 1
        with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
            items.close()
        assert list(items) == []

    with capture_spans():
        main()


def test_frameworks_see_what_it_is() -> None:
    assert inspect.isgeneratorfunction(count)
    assert not inspect.isasyncgenfunction(count)
    assert inspect.isasyncgenfunction(words)
    assert not asyncio.iscoroutinefunction(words)
    assert inspect.isgeneratorfunction(backtrail.run(count).with_options(state={}))
    assert inspect.isgenerator(count(1))
    assert inspect.isasyncgen(words(1))
    assert (count.__name__, count.__doc__) == ("count", "Counts, and says so.")
    assert str(inspect.signature(count)) == "(n: int) -> collections.abc.Generator[int, str, str]"
    assert backtrail.run(lambda: count(1).__qualname__)() == "count"  # type: ignore[attr-defined]


class Shelf:
    books = ("a", "b")

    @backtrail.step
    def method(self) -> Iterator[str]:
        yield from self.books

    @backtrail.step
    @classmethod
    def of_class(cls) -> Iterator[str]:
        yield from cls.books

    @staticmethod
    @backtrail.step
    async def static() -> AsyncIterator[str]:
        yield "a"

    def __call__(self) -> Iterator[str]:
        yield from self.books


async def test_methods_partials_and_objects_are_followed_too() -> None:
    called, partial = backtrail.step("called")(Shelf()), backtrail.step("partial")(functools.partial(upto, 2))

    @backtrail.run
    async def main() -> list[Any]:
        shelf = Shelf()
        return [*shelf.method(), *Shelf.of_class(), *[x async for x in shelf.static()], *called(), *partial()]

    with capture_spans() as spans:
        assert await main() == ["a", "b", "a", "b", "a", "a", "b", 0, 1]
    assert [span.name for span in spans.of_kind("step")] == ["method", "of_class", "static", "called", "partial"]


def test_wrong_arguments_are_refused_at_the_call() -> None:
    @backtrail.run
    def main() -> None:
        with pytest.raises(TypeError):
            count()  # type: ignore[call-overload]

    with capture_spans() as spans:
        main()
    assert spans.of_kind("step") == []


def test_a_coroutine_of_the_old_kind_is_awaited_and_not_read() -> None:
    @backtrail.step
    @types.coroutine
    def old() -> Generator[Any, Any, int]:
        yield from asyncio.sleep(0).__await__()
        return 5

    @backtrail.run
    async def main() -> int:
        return await old()

    with capture_spans(strict=False):
        assert asyncio.run(main()) == 5


def test_stream_false_hands_a_generator_through_unread() -> None:
    unread = backtrail.step("unread", stream=False)(upto)
    with capture_spans(strict=False) as spans:
        assert backtrail.run(lambda: list(unread(2)))() == [0, 1]
    assert semconv.STEP_STREAM not in attributes(spans, "unread")


def test_outside_a_run_it_is_the_functions_own_generator() -> None:
    with capture_spans() as spans:
        assert count(2).gi_code is count.__wrapped__.__code__  # type: ignore[attr-defined]
        assert list(count(2)) == [0, 1]
    assert spans == []


def session(name: str) -> Iterator[str]:
    yield name


async def asession(name: str) -> AsyncIterator[str]:
    yield name


@pytest.mark.parametrize(
    "decorated",
    [
        contextlib.contextmanager(backtrail.step(session)),
        backtrail.step(contextlib.contextmanager(session)),
    ],
    ids=["below", "above"],
)
def test_a_context_manager_is_one_span_over_its_block(decorated: Any) -> None:
    @backtrail.run
    def main() -> None:
        with decorated("db") as name:
            assert look_up(name) == "DB"
        with pytest.raises(ValueError, match="inside"), decorated("db"):
            raise ValueError("inside")

    with capture_spans() as spans:
        main()

    whole, inside, failed = spans.of_kind("step")[1], spans.named("look_up"), spans.of_kind("step")[2]
    assert whole.name == failed.name == "session"
    assert (whole.start_time or 0) < (inside.start_time or 0) < (inside.end_time or 0) < (whole.end_time or 0)
    assert (whole.attributes or {})[semconv.STEP_STATUS] == "completed"
    assert (failed.attributes or {})[semconv.STEP_STATUS] == "failed"


@pytest.mark.parametrize(
    "decorated",
    [
        contextlib.asynccontextmanager(backtrail.step(asession)),
        backtrail.step(contextlib.asynccontextmanager(asession)),
    ],
    ids=["below", "above"],
)
async def test_so_is_an_async_one(decorated: Any) -> None:
    @backtrail.run
    async def main() -> None:
        async with decorated("db") as name:
            look_up(name)
        async with decorated("cache"):
            pass

    with capture_spans() as spans:
        await main()
    assert [span.name for span in spans.of_kind("step")] == ["look_up", "asession", "asession"]
