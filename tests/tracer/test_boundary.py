"""Whatever breaks in recording: the user's program returns and raises what it would have without it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

import backtrail
from backtrail import RunContext
from backtrail._boundary import never_raise
from backtrail._spans.recorder import Recorder, set_current_recorder
from backtrail._spans.span import RecordedSpan
from backtrail.errors import ResultNotReplayableError
from backtrail.testing import capture_spans


class BrokenSink:
    """An exporter, a processor, a full disk: something that raises whenever it is used."""

    is_failing = False

    def opened(self, span: RecordedSpan) -> None:
        raise OSError("sink")

    def closed(self, span: RecordedSpan) -> None:
        raise OSError("sink")

    def on_end(self, span: ReadableSpan) -> None:
        raise OSError("sink")

    def flush(self, timeout: float) -> bool:
        raise OSError("sink")

    def secure(self, timeout: float) -> bool:
        raise OSError("sink")

    def lost_of(self, trace_id: int) -> int:
        raise OSError("sink")

    def shutdown(self) -> None:
        raise OSError("sink")


@pytest.fixture
def broken_recording() -> Any:
    set_current_recorder(Recorder(sink=BrokenSink()))
    yield
    set_current_recorder(Recorder())


@backtrail.step
def divide(a: int, b: int) -> float:
    return a / b


@backtrail.step
async def divide_later(a: int, b: int) -> float:
    return a / b


@backtrail.agent
async def work(b: int, ctx: RunContext | None = None) -> float:
    with backtrail.step("block") as this:
        this.complete(1)
    return divide(1, b) + await divide_later(1, b)


@backtrail.run
async def main(b: int) -> float:
    return await work(b)


@pytest.mark.usefixtures("broken_recording")
def test_a_broken_exporter_changes_nothing_for_the_program(caplog: pytest.LogCaptureFixture) -> None:
    assert asyncio.run(main(2)) == 1.0
    with pytest.raises(ZeroDivisionError):
        asyncio.run(main(0))

    assert {record.name for record in caplog.records} == {"backtrail"}


def test_one_deed_is_complained_about_once_in_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(100):
        with never_raise("testing"):
            raise ValueError("again")

    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_what_ends_a_program_is_never_swallowed() -> None:
    for error in (KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit):
        with pytest.raises(error), never_raise("testing"):
            raise error


def hostile_values() -> list[Any]:
    class BadRepr:
        def __repr__(self) -> str:
            raise RuntimeError("repr")

        __str__ = __repr__

    class BadEq:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("eq")

    class BadDict(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError("items")

        def __len__(self) -> int:
            raise RuntimeError("len")

    loop: list[Any] = []
    loop.append(loop)
    return [BadRepr(), BadEq(), BadDict(a=1), loop, lambda: 1, open, object, iter([]), 1j, "\ud800"]


@pytest.mark.parametrize("value", hostile_values(), ids=lambda value: type(value).__name__)
def test_any_argument_and_any_result_pass_through(value: Any) -> None:
    @backtrail.step
    def same(value: Any) -> Any:
        return value

    @backtrail.run
    def program(ctx: RunContext) -> Any:
        ctx.set_state("value", value)
        return same(value)

    with capture_spans(strict=False) as spans:
        assert program() is value
    assert len(spans.of_kind("run")) == 1


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("str")

    __repr__ = __str__

    @property
    def retryable(self) -> bool:
        raise RuntimeError("retryable")


def test_an_error_that_breaks_when_it_is_looked_at_ends_step_agent_and_run(caplog: pytest.LogCaptureFixture) -> None:
    error = Unreadable("x")

    @backtrail.step
    def fail() -> None:
        raise error

    program = backtrail.run(name="program")(backtrail.agent(name="clerk")(fail))

    with capture_spans(strict=False) as spans, pytest.raises(Unreadable) as raised:
        program()

    assert raised.value is error
    statuses = [
        dict(span.attributes or {})[f"backtrail.{kind}.status"]
        for kind in ("step", "agent", "run")
        for span in spans.of_kind(kind)
    ]
    assert statuses == ["failed", "failed", "failed"]
    assert caplog.records == []


def test_a_class_that_cannot_be_kept_is_complained_about_once_in_a_process(caplog: pytest.LogCaptureFixture) -> None:
    class Socket: ...

    connect = backtrail.step(name="connect")(Socket)

    with capture_spans(strict=False):
        for _ in range(3):
            backtrail.run(name="request")(lambda: connect() and None)()

    assert [record.message.partition(" ")[2] for record in caplog.records] == [
        "cannot be kept in a recording (opaque); a replay cannot give it back"
    ]


@pytest.mark.parametrize(
    "call",
    [
        lambda ctx: ctx.set_state(5, object()),
        lambda ctx: ctx.set_state("\ud800", "\ud800"),
        lambda ctx: backtrail.get_current_agent_context().set_state(None, 1),  # type: ignore[arg-type]
    ],
)
def test_odd_keys_do_not_break_a_run(call: Callable[[RunContext], None]) -> None:
    @backtrail.run
    def program(ctx: RunContext) -> int:
        call(ctx)
        return 1

    with capture_spans(strict=False):
        assert program() == 1


def test_strict_recording_raises_so_that_tests_can_see_it() -> None:
    @backtrail.step
    def connect() -> object:
        return object()

    @backtrail.run
    def program() -> None:
        connect()

    with capture_spans(strict=True), pytest.raises(ResultNotReplayableError, match="builtins:object"):
        program()


@pytest.mark.usefixtures("broken_recording")
async def test_streams_go_on_whatever_breaks() -> None:
    @backtrail.step
    def numbers() -> Iterator[float]:
        yield divide(4, 2)
        yield 3.0

    @backtrail.agent
    async def later() -> AsyncIterator[float]:
        for number in numbers():
            yield number
        raise ValueError("the end")

    @backtrail.run
    async def handle() -> AsyncIterator[float]:
        async for number in later():
            yield number

    numbers_read = handle()
    assert [await anext(numbers_read), await anext(numbers_read)] == [2.0, 3.0]
    with pytest.raises(ValueError, match="the end"):
        await anext(numbers_read)
