"""A stream that is an object of its own, as clients of models return it, is handed on as it is and recorded."""

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

import pytest

import backtrail
from backtrail import semconv
from backtrail.testing import capture_spans
from tests.tracer.streams import attributes, look_up, status, stream

pytestmark = pytest.mark.usefixtures("no_detach_line")


class Answer:
    """A client's answer, read piece by piece."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = list(pieces)
        self.is_closed = False
        self.model = "small"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if not self.pieces:
            raise StopIteration
        return look_up(self.pieces.pop(0))

    def close(self) -> None:
        self.is_closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class LaterAnswer:
    def __init__(self, *pieces: str) -> None:
        self.pieces = list(pieces)
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[str]:
        for piece in self.pieces:
            await asyncio.sleep(0)
            yield piece

    async def close(self) -> None:
        self.is_closed = True


class Manager:
    """What gives its stream only in an `async with`."""

    async def __aenter__(self) -> LaterAnswer:
        return LaterAnswer("a", "b")

    async def __aexit__(self, *exception: object) -> None:
        await asyncio.sleep(0)


@backtrail.step(kind="llm", stream=True)
def ask(*pieces: str) -> Answer:
    return Answer(*(look_up(piece) for piece in pieces))


@backtrail.step(kind="llm", stream=True)
async def ask_later(*pieces: str) -> LaterAnswer:
    return LaterAnswer(*pieces)


def test_its_items_are_recorded_under_the_span_of_the_call() -> None:
    @backtrail.run
    def main() -> list[str]:
        answer = ask("a", "b")
        assert isinstance(answer, Answer)
        assert answer.model == "small"
        return [*answer, *answer]

    with capture_spans() as spans:
        assert main() == ["A", "B"]

    assert stream(spans, "chat ask")["chunks"] == ["A", "B"]
    assert status(spans, "chat ask") == ("completed", "end", 2)
    inside = [span.parent for span in spans if span.name == "look_up"]
    assert inside == [spans.named("chat ask").context] * 4


async def test_an_async_one_alike() -> None:
    @backtrail.run
    async def main() -> list[str]:
        answer = await ask_later("a", "b")
        assert isinstance(answer, LaterAnswer)
        return [piece async for piece in answer]

    with capture_spans() as spans:
        assert await main() == ["a", "b"]
    assert status(spans, "chat ask_later") == ("completed", "end", 2)


async def test_closing_leaving_or_dropping_it_ends_its_span() -> None:
    @backtrail.run
    async def main() -> None:
        closed = ask("a", "b")
        next(closed)
        closed.close()
        assert closed.is_closed

        with ask("a", "b") as left:
            next(left)
        assert left.is_closed

        next(ask("a", "b"))

        later = await ask_later("a", "b")
        await anext(aiter(later))
        await later.close()
        assert later.is_closed

    with capture_spans() as spans:
        await main()
        gc.collect()

    told = [span for span in spans.of_kind("step") if span.name.startswith("chat")]
    assert [str((span.attributes or {})[semconv.STEP_STREAM])[:55] for span in told] == [
        '{"count":1,"complete":false,"closed_by":"consumer","chu'
    ] * 4


async def test_a_stream_that_comes_out_of_a_block_is_the_same_stream() -> None:
    @backtrail.step(stream=True)
    async def open_stream() -> Manager:
        return Manager()

    @backtrail.run
    async def main() -> list[str]:
        async with await open_stream() as answer:
            return [piece async for piece in answer]

    with capture_spans() as spans:
        assert await main() == ["a", "b"]
    assert status(spans, "open_stream") == ("completed", "end", 2)


async def test_a_generator_that_is_returned_is_followed() -> None:
    def three() -> Iterator[int]:
        yield from (1, 2, 3)

    async def two() -> AsyncIterator[int]:
        yield 1
        yield 2

    ask_three, ask_two = backtrail.step("three", stream=True)(lambda: three()), backtrail.step("two", stream=True)(two)

    @backtrail.run
    async def main() -> list[int]:
        return [*ask_three(), *[n async for n in ask_two()]]

    with capture_spans() as spans:
        assert await main() == [1, 2, 3, 1, 2]
    assert status(spans, "three") == ("completed", "end", 3)
    assert status(spans, "two") == ("completed", "end", 2)


async def test_what_is_no_stream_is_a_result_and_what_raises_is_a_failure() -> None:
    @backtrail.step(stream=True)
    def answer(how: str) -> Any:
        if how == "raise":
            raise ConnectionError(how)
        return {"text": how}

    @backtrail.run
    async def main() -> None:
        assert answer("whole") == {"text": "whole"}
        with pytest.raises(ConnectionError):
            answer("raise")

    with capture_spans() as spans:
        await main()
    whole, failed = (dict(span.attributes or {}) for span in spans.of_kind("step"))
    assert whole[semconv.STEP_RESULT] == '{"text":"whole"}'
    assert failed[semconv.STEP_STATUS] == "failed"
    assert semconv.STEP_STREAM not in {**whole, **failed}


async def test_a_failure_while_reading_keeps_what_was_read() -> None:
    class Broken(Answer):
        def __next__(self) -> str:
            if len(self.pieces) == 1:
                raise ConnectionError("cut off")
            return self.pieces.pop(0)

    ask_broken = backtrail.step("ask", stream=True)(Broken)

    @backtrail.run
    def main() -> None:
        with pytest.raises(ConnectionError), contextlib.closing(ask_broken("a", "b")) as pieces:
            list(pieces)

    with capture_spans() as spans:
        main()
    assert status(spans, "ask") == ("failed", "error", 1)
    assert stream(spans, "ask")["chunks"] == ["a"]


def test_outside_a_run_it_is_the_functions_own_object() -> None:
    assert type(ask("a")) is Answer


def test_an_item_no_recording_can_keep_reaches_its_consumer() -> None:
    locks = [threading.Lock(), threading.Lock()]
    give = backtrail.step("give", stream=True)(lambda: iter(locks))

    with capture_spans(strict=False) as spans:
        assert backtrail.run(lambda: [lock is own for lock, own in zip(give(), locks, strict=True)])() == [True, True]
    assert attributes(spans, "give")[semconv.STEP_UNREPLAYABLE_REASON] == "opaque"
