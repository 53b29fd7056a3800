"""A generator is recorded as one span from its first item to its last, however it ends."""

import asyncio
import gc
import inspect
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

import backtrail
from backtrail import semconv
from backtrail.testing import capture_spans
from tests.tracer.streams import attributes, count, every, look_up, status, stream, upto, words

pytestmark = pytest.mark.usefixtures("no_detach_line")


def test_every_item_is_recorded_with_its_time_and_the_returned_value() -> None:
    @backtrail.run
    def main() -> tuple[list[int], str]:
        items = []

        def read() -> Iterator[int]:
            returned = yield from count(3)
            items.append(returned)

        return list(read()), items[0]

    with capture_spans() as spans:
        assert main() == ([0, 1, 2], "counted")

    assert stream(spans, "count") == {
        "count": 3,
        "complete": True,
        "closed_by": "end",
        "chunks": [0, 1, 2],
        "t_ms": [1000.0, 2000.0, 3000.0],
    }
    told = attributes(spans, "count")
    assert told[semconv.STEP_RESULT] == '"counted"'
    assert told[semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK] == 1.0
    assert told[semconv.STEP_REPLAYABLE] is True


async def test_an_async_generator_is_recorded_alike() -> None:
    @backtrail.run
    async def main() -> list[str]:
        return [word async for word in words(2)]

    with capture_spans() as spans:
        assert await main() == ["word 0", "word 1"]

    assert stream(spans, "chat words")["chunks"] == ["word 0", "word 1"]
    assert status(spans, "chat words") == ("completed", "end", 2)


def test_a_step_is_named_at_its_call_and_one_nobody_reads_leaves_nothing() -> None:
    @backtrail.run
    def main() -> None:
        first, second, unread = count(1), count(1), count(1)
        assert list(second) == [0]
        assert list(first) == [0]
        unread.close()
        list(count(2))

    with capture_spans() as spans:
        main()

    steps = every(spans, "step")
    assert [step[semconv.STEP_OCCURRENCE] for step in steps] == [1, 0, 0]
    second, first, last = (step[semconv.STEP_SEQ_START] for step in steps)
    assert first < second < last
    assert {(span.attributes or {})[semconv.NUMBER] for span in spans} == set(range(1, len(spans) + 1))


def test_what_was_closed_early_is_complete_as_far_as_its_consumer_wanted() -> None:
    cleaned: list[str] = []

    @backtrail.step
    def numbers() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append("numbers")

    @backtrail.run
    def main() -> None:
        for _ in numbers():
            break
        cleaned.append("main")

    with capture_spans() as spans:
        main()

    assert cleaned == ["numbers", "main"]
    assert status(spans, "numbers") == ("completed", "consumer", 1)
    assert attributes(spans, "numbers")[semconv.STEP_REPLAYABLE] is True


def test_what_failed_midway_has_its_items_and_its_error() -> None:
    @backtrail.step
    def numbers() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    @backtrail.run
    def main() -> None:
        with pytest.raises(ValueError, match="no more"):
            list(numbers())

    with capture_spans() as spans:
        main()

    assert status(spans, "numbers") == ("failed", "error", 1)
    assert json.loads(attributes(spans, "numbers")[semconv.STEP_ERROR])["message"] == "no more"


async def test_what_was_cancelled_midway_is_cancelled() -> None:
    started = asyncio.Event()

    @backtrail.step
    async def numbers() -> AsyncIterator[int]:
        yield 1
        started.set()
        await asyncio.sleep(60)
        yield 2

    @backtrail.run
    async def main() -> None:
        async def read() -> None:
            async for _ in numbers():
                pass

        task = asyncio.create_task(read())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with capture_spans() as spans:
        await main()

    assert status(spans, "numbers") == ("cancelled", "cancel", 1)


async def test_an_agent_and_a_run_may_be_streams_too() -> None:
    @backtrail.agent
    async def writer(n: int) -> AsyncIterator[str]:
        async for word in words(n):
            yield word.upper()

    @backtrail.run
    async def handle(query: str) -> AsyncIterator[str]:
        async for word in writer(2):
            yield f"{query} {word}"

    with capture_spans() as spans:
        answers = handle("say")
        assert spans == []
        assert [answer async for answer in answers] == ["say WORD 0", "say WORD 1"]

    run, agent, step = spans.named("handle"), spans.named("invoke_agent writer"), spans.named("chat words")
    assert (agent.parent, step.parent) == (run.context, agent.context)
    assert (run.attributes or {})[semconv.RUN_RESULT] == '["say WORD 0","say WORD 1"]'
    assert (run.attributes or {})[semconv.QUERY] == "say"
    assert (agent.attributes or {})[semconv.AGENT_RESULT] == '["WORD 0","WORD 1"]'
    assert [span.name for span in spans if span.end_time][-1] == "handle"


def test_an_agent_outside_a_run_is_one_that_ends_with_its_stream() -> None:
    @backtrail.agent
    def writer() -> Iterator[int]:
        yield 1
        yield 2

    assert inspect.isgeneratorfunction(writer)
    with capture_spans() as spans:
        assert list(writer()) == [1, 2]
    assert spans.named("invoke_agent writer").parent == spans.named("writer").context
    assert attributes(spans, "writer")[semconv.RUN_RESULT] == "[1,2]"


def test_a_run_that_is_broken_off_says_how_far_it_came() -> None:
    @backtrail.run
    def handle(fails: bool) -> Iterator[int]:
        yield 1
        if fails:
            raise ValueError("no")
        yield 2

    with capture_spans() as spans:
        next(handle(False))
        with pytest.raises(ValueError, match="no"):
            list(handle(True))

    closed, failed = (dict(span.attributes or {}) for span in spans.of_kind("run"))
    assert (closed[semconv.RUN_STATUS], failed[semconv.RUN_STATUS]) == ("completed", "failed")
    assert json.loads(closed[semconv.RUN_RESULT]) == {  # type: ignore[arg-type]
        "count": 1,
        "complete": False,
        "closed_by": "consumer",
        "chunks": [1],
    }
    assert json.loads(failed[semconv.RUN_RESULT])["closed_by"] == "error"  # type: ignore[arg-type]
    assert json.loads(failed[semconv.RUN_ERROR])["message"] == "no"  # type: ignore[arg-type]


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_run_behind_a_streaming_response_ends_with_the_response(is_async: bool) -> None:
    @backtrail.run
    async def later(query: str) -> AsyncIterator[str]:
        async for word in words(2):
            yield f"{query} {word} "

    @backtrail.run
    def at_once(query: str) -> Iterator[str]:
        for number in count(2):
            yield f"{query} {look_up('word')} {number} "

    app = FastAPI()

    @app.get("/")
    async def answer(query: str) -> StreamingResponse:
        return StreamingResponse(later(query) if is_async else at_once(query))

    with capture_spans() as spans:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            said = (await client.get("/", params={"query": "say"})).text

    assert said == ("say word 0 say word 1 " if is_async else "say WORD 0 say WORD 1 ")
    (run,) = spans.of_kind("run")
    assert (run.attributes or {})[semconv.RUN_STATUS] == "completed"
    assert (run.attributes or {})[semconv.QUERY] == "say"
    steps = spans.of_kind("step")
    assert len(steps) == (1 if is_async else 3)
    assert {step.context.trace_id for step in steps if step.context} == {run.context.trace_id if run.context else 0}


async def test_a_reader_who_hangs_up_cancels_the_run() -> None:
    @backtrail.run
    async def endless() -> AsyncIterator[str]:
        while True:
            yield "more"
            await asyncio.sleep(0.001)

    async def send(message: Any) -> None:
        if message.get("body"):
            raise OSError("hung up")

    with capture_spans() as spans:
        with pytest.raises(ClientDisconnect):
            await StreamingResponse(endless())({"type": "http", "asgi": {"spec_version": "2.4"}}, receive_nothing, send)
        gc.collect()
        await asyncio.sleep(0.01)
    assert json.loads(attributes(spans, "endless")[semconv.RUN_RESULT])["closed_by"] == "consumer"


async def receive_nothing() -> Any:
    await asyncio.Event().wait()


async def test_an_agent_still_being_read_when_the_run_ends_ends_by_itself() -> None:
    kept: list[Any] = []

    @backtrail.agent
    async def writer() -> AsyncIterator[int]:
        yield 1
        yield 2

    @backtrail.run
    async def main() -> None:
        kept.append(writer())
        await anext(kept[0])

    with capture_spans() as spans:
        await main()
        assert await anext(kept[0]) == 2
        await kept[0].aclose()
    assert json.loads(attributes(spans, "invoke_agent writer")[semconv.AGENT_RESULT])["count"] == 2


def test_a_stream_over_the_limit_is_counted_to_its_end_and_kept_as_far_as_there_is_room() -> None:
    @backtrail.step
    def long() -> Iterator[str]:
        for _ in range(1_000):
            yield "x" * 98

    with capture_spans(max_payload_bytes=10_000) as spans:
        assert len(backtrail.run(lambda: list(long()))()) == 1_000

    told = stream(spans, "long")
    assert (told["count"], told["complete"], told["bytes"]) == (1_000, True, 100_000)
    assert len(attributes(spans, "long")[semconv.STEP_STREAM]) <= 10_000
    assert 80 < len(told["chunks"]) == len(told["t_ms"]) < 100
    assert attributes(spans, "long")[semconv.STEP_REPLAYABLE] is False
    assert attributes(spans, "long")[semconv.STEP_UNREPLAYABLE_REASON] == "too_large"


def test_an_item_nobody_can_keep_makes_the_stream_unreplayable() -> None:
    @backtrail.step
    def connections() -> Iterator[object]:
        yield 1
        yield threading.Lock()

    with capture_spans(strict=False) as spans:
        assert len(backtrail.run(lambda: list(connections()))()) == 2
    assert stream(spans, "connections")["chunks"][1]["$t"] == "opaque"
    assert attributes(spans, "connections")[semconv.STEP_UNREPLAYABLE_REASON] == "opaque"


def test_a_step_that_keeps_nothing_counts() -> None:
    quiet = backtrail.step("quiet", capture=False)(upto)
    with capture_spans() as spans:
        backtrail.run(lambda: list(quiet(2)))()
    assert stream(spans, "quiet") == {"count": 2, "complete": True, "closed_by": "end"}
    assert attributes(spans, "quiet")[semconv.STEP_UNREPLAYABLE_REASON] == "not_captured"


def test_a_secret_that_comes_in_pieces_is_not_recorded() -> None:
    key = "sk-" + "proj-4f8a9c2e1b7d6053a8c4e2f1"

    @backtrail.step
    def letters() -> Iterator[str]:
        yield from f"The key is {key}."

    with capture_spans(strict=False) as spans:
        assert "".join(backtrail.run(lambda: list(letters()))()[11:-1]) == key

    told = stream(spans, "letters")
    assert (told["count"], len(told["chunks"])) == (len(key) + 12, 1)
    assert key not in str([dict(span.attributes or {}) for span in spans.of_kind("step")])
    assert attributes(spans, "letters")[semconv.STEP_UNREPLAYABLE_REASON] == "redacted"
