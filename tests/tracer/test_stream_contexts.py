"""What is current in the body of a stream, and what while its consumer goes on."""

import asyncio
import contextvars
import gc
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

import backtrail
from backtrail import RunContext, semconv
from backtrail._runs.scope import current_position
from backtrail.testing import capture_spans
from tests.tracer.receiver import receiving
from tests.tracer.streams import attributes, count, look_up, status, stream

pytestmark = pytest.mark.usefixtures("no_detach_line")


def looked_up(span: ReadableSpan) -> str:
    return str(json.loads(str((span.attributes or {})[semconv.STEP_INPUT]))["word"])


async def test_what_the_body_calls_is_inside_and_what_its_consumer_calls_is_not() -> None:
    @backtrail.step
    async def pages() -> AsyncIterator[str]:
        yield look_up("one")
        await asyncio.sleep(0)
        with backtrail.step("across"):
            yield look_up("two")
            yield look_up("three")

    @backtrail.run
    async def main(ctx: RunContext) -> None:
        async for page in pages():
            assert backtrail.get_current_run_context() is ctx
            position = current_position.get()
            assert position is not None
            assert position.step is None
            look_up(f"of {page}")

    with capture_spans() as spans:
        await main()

    body, across = spans.named("pages").context, spans.named("across").context
    parents = [(looked_up(span), span.parent) for span in spans if span.name == "look_up"]
    agent = spans.named("invoke_agent default").context
    assert parents == [
        ("one", body),
        ("of ONE", agent),
        ("two", across),
        ("of TWO", agent),
        ("three", across),
        ("of THREE", agent),
    ]
    assert spans.named("across").parent == body


def test_a_span_of_the_users_own_stays_open_across_items() -> None:
    tracer = trace.get_tracer("mine")

    @backtrail.step
    def traced() -> Iterator[Any]:
        with tracer.start_as_current_span("own"):
            yield trace.get_current_span()
            yield trace.get_current_span()

    @backtrail.run
    def main() -> None:
        outside = trace.get_current_span()
        seen = []
        for span in traced():
            assert trace.get_current_span() is outside
            seen.append(span)
        assert seen[0] is seen[1] is not outside

    with capture_spans(strict=False):
        main()


def test_context_variables_of_the_body_reach_as_far_as_before() -> None:
    mood: contextvars.ContextVar[str] = contextvars.ContextVar("mood", default="calm")

    def moody() -> Iterator[str]:
        yield mood.get()
        token = mood.set("wild")
        yield mood.get()
        mood.reset(token)

    def seen(items: Iterator[str]) -> list[str]:
        return [told for item in items for told in (item, mood.get())]

    with capture_spans():
        assert backtrail.run(lambda: seen(backtrail.step("moody")(moody)()))() == seen(moody())


async def test_two_streams_read_in_turns_do_not_mix() -> None:
    @backtrail.step
    async def pages(name: str) -> AsyncIterator[str]:
        for n in range(3):
            yield look_up(f"{name}{n}")

    @backtrail.run
    async def main() -> list[tuple[str, str]]:
        one, other = pages("a"), pages("b")
        return [(await anext(one), await anext(other)) for _ in range(3)]

    with capture_spans() as spans:
        assert (await main())[2] == ("A2", "B2")
        gc.collect()
        await asyncio.sleep(0.01)

    bodies = [span.context for span in spans if span.name == "pages"]
    inside = [[looked_up(span) for span in spans if span.name == "look_up" and span.parent == body] for body in bodies]
    assert sorted(inside) == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]


def test_one_generator_is_read_by_several_threads() -> None:
    @backtrail.run
    def main() -> list[int]:
        items, read = count(3), []
        for _ in range(3):
            thread = threading.Thread(target=lambda: read.append(next(items)))
            thread.start()
            thread.join()
        assert list(items) == []
        return read

    with capture_spans() as spans:
        assert main() == [0, 1, 2]
    assert status(spans, "count") == ("completed", "end", 3)


def test_what_the_body_writes_is_its_own() -> None:
    @backtrail.step
    def writer(ctx: RunContext) -> Iterator[int]:
        ctx.set_state("inside", 1)
        yield 1

    @backtrail.run
    def main(ctx: RunContext) -> None:
        for _ in writer():
            ctx.set_state("outside", 2)

    with capture_spans() as spans:
        main()
    deltas = json.loads(attributes(spans, "writer")[semconv.STEP_DELTAS])
    assert [op["key"] for delta in deltas for op in delta["ops"]] == ["inside"]


@pytest.fixture
def order() -> list[str]:
    """What `pages` did when it was closed."""
    return []


@pytest.fixture
def pages(order: list[str]) -> Callable[[], AsyncIterator[int]]:
    @backtrail.step
    async def pages() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            order.append(look_up("cleaned"))

    return pages


async def test_it_may_be_closed_by_another_task(
    pages: Callable[[], AsyncIterator[int]], order: list[str], recwarn: pytest.WarningsRecorder
) -> None:
    @backtrail.run
    async def main() -> None:
        items = pages()
        assert await anext(items) == 1
        await asyncio.create_task(items.aclose())  # type: ignore[attr-defined]

    with capture_spans() as spans:
        await main()

    assert order == ["CLEANED"]
    assert status(spans, "pages") == ("completed", "consumer", 1)
    assert spans.named("look_up").parent == spans.named("pages").context
    assert [str(warning.message) for warning in recwarn] == []


async def test_what_is_dropped_half_read_is_closed_as_before_and_recorded(
    pages: Callable[[], AsyncIterator[int]], order: list[str]
) -> None:
    @backtrail.run
    async def main() -> None:
        async for _ in pages():
            break
        gc.collect()
        await asyncio.sleep(0.01)

    with capture_spans() as spans:
        await main()

    assert order == ["CLEANED"]
    assert status(spans, "pages") == ("completed", "consumer", 1)
    assert spans.named("look_up").parent == spans.named("pages").context
    assert stream(spans, "pages")["dropped_seq"] < attributes(spans, "pages")[semconv.STEP_SEQ_END]


def test_what_is_dropped_in_a_circle_is_recorded_when_it_is_collected() -> None:
    @backtrail.run
    def main() -> None:
        circle: list[Any] = [count(3)]
        circle.append(circle)
        next(circle[0])
        del circle

    with capture_spans() as spans:
        main()
        gc.collect()
    assert status(spans, "count") == ("completed", "consumer", 1)


@pytest.mark.parametrize("shuts_down", [True, False])
def test_a_loop_that_ends_first_leaves_no_complaint(shuts_down: bool, caplog: pytest.LogCaptureFixture) -> None:
    kept: list[Any] = []
    cleaned: list[str] = []

    @backtrail.step
    async def pages() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            cleaned.append("pages")

    @backtrail.run
    async def main() -> None:
        kept.append(pages())
        await anext(kept[0])

    with capture_spans() as spans:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        if shuts_down:
            loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        kept.clear()
        gc.collect()

    assert cleaned == (["pages"] if shuts_down else [])
    assert status(spans, "pages") == ("completed", "consumer", 1)
    assert caplog.records == []


def test_a_task_that_is_destroyed_leaves_no_complaint_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    @backtrail.step
    async def pages() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()
        yield 2

    @backtrail.run
    async def main() -> None:
        async for _ in pages():
            pass

    async def program() -> asyncio.Task[None]:
        task = asyncio.ensure_future(main())
        await asyncio.sleep(0.01)
        return task

    with capture_spans() as spans:
        loop = asyncio.new_event_loop()
        task = loop.run_until_complete(program())
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()
        del task, loop
        gc.collect()

    assert status(spans, "pages") == ("completed", "consumer", 1)
    assert caplog.records == []


PROGRAM = """
import asyncio, backtrail
backtrail.configure(endpoint="ENDPOINT", service_name="exit")

@backtrail.step
def numbers():
    yield 1
    yield 2

@backtrail.step
async def later():
    yield 1
    yield 2

@backtrail.run
def main():
    global kept
    kept = numbers()
    next(kept)

@backtrail.run
async def amain():
    global akept
    akept = later()
    await anext(akept)

main()
asyncio.run(amain())
circle = [kept]
circle.append(circle)
"""


def test_a_program_may_end_with_streams_half_read() -> None:
    with receiving() as receiver:
        program = PROGRAM.replace("ENDPOINT", receiver.url)
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60
        )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert "later" in receiver.names()
