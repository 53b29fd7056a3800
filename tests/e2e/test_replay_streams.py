"""Streams are answered from the record item by item, or run as a whole: never half of each."""

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Self

import pytest

import backtrail
from backtrail import Client, RunContext
from backtrail.errors import ReplayDivergenceError, ResultNotReplayableError
from tests.e2e.replaying import Log


@pytest.fixture(autouse=True)
def no_detach_line(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    gc.collect()
    assert [record.message for record in caplog.records if "detach" in record.message] == []


async def recorded(client: Client, run_id: str, name: str) -> None:
    """A stream that the event loop closes may end after its run, and is readable a moment later."""
    await asyncio.sleep(0.01)
    backtrail.flush()
    for _ in range(600):
        if name in {step.name for step in client.get_replay_bundle(run_id).steps if step.status == "completed"}:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the stream {name} of run {run_id} did not become readable")


@dataclass
class Word:
    text: str


async def test_a_stream_read_to_its_end_gives_its_items_with_their_types(client: Client, log: Log) -> None:
    @backtrail.step
    async def words(n: int, ctx: RunContext) -> AsyncIterator[Word]:
        log.ran("words")
        for i in range(n):
            ctx.set_state("written", i)
            yield Word(f"word {i}")

    @backtrail.step
    def numbers() -> Generator[int, None, Word]:
        log.ran("numbers")
        yield 1
        yield 2
        return Word("returned")

    @backtrail.step
    async def send(how_many: int) -> None:
        if log.broken:
            raise ConnectionError("down")

    @backtrail.run
    async def handle(ctx: RunContext) -> Any:
        log.run_id = ctx.run.run_id

        def read() -> Iterator[Any]:
            yield (yield from numbers())

        said = [word async for word in words(3)]
        counted = list(read())
        await send(len(said))
        return [said, counted, ctx.get_state("written")]

    with pytest.raises(ConnectionError):
        await handle()
    result = await client.replay(log.mended(), handle)

    assert result.value == [[Word("word 0"), Word("word 1"), Word("word 2")], [1, 2, Word("returned")], 2]
    assert log.read() == []
    assert (result.hits, result.live, result.divergences) == (2, 1, [])

    again = await client.replay(result.run_id, handle)
    assert (again.value, again.hits, again.live, again.divergences) == (result.value, 3, 0, [])


@pytest.mark.parametrize("wants", [3, 4])
async def test_a_stream_stopped_early_is_served_so_far_and_no_further(client: Client, log: Log, wants: int) -> None:
    @backtrail.step
    async def words() -> AsyncGenerator[int, None]:
        log.ran("words")
        for i in range(9):
            yield i

    @backtrail.step
    async def think(of: list[int]) -> list[int]:
        log.ran("think")
        return of

    @backtrail.run
    async def handle(ctx: RunContext) -> list[int]:
        log.run_id = ctx.run.run_id
        taken = []
        async with aclosing(words()) as stream:
            async for word in stream:
                taken.append(word)
                if len(taken) == (3 if log.broken else wants):
                    break
        thought = await think([1])
        if log.broken:
            raise RuntimeError("after it")
        return [*taken, *thought]

    with pytest.raises(RuntimeError):
        await handle()
    recorded = log.mended()
    if wants == 3:
        result = await client.replay(recorded, handle)
        assert (result.value, log.read()) == ([0, 1, 2, 1], [])
        assert (result.hits, result.divergences) == (2, [])
        return
    with pytest.raises(ReplayDivergenceError, match="closed after 3 items"):
        await client.replay(recorded, handle)
    assert log.read() == []


async def test_a_stream_that_was_dropped_before_the_failing_step_is_served(client: Client, log: Log) -> None:
    @backtrail.step
    async def words() -> AsyncIterator[int]:
        log.ran("words")
        yield 1
        yield 2

    @backtrail.step
    async def send(word: int) -> int:
        log.ran("send")
        if log.broken:
            raise TimeoutError
        return word

    @backtrail.run
    async def handle(ctx: RunContext) -> int:
        log.run_id = ctx.run.run_id

        async def first() -> int:
            async for word in words():
                return word
            return 0

        return await send(await first())

    with pytest.raises(TimeoutError):
        await handle()
    await recorded(client, log.run_id, "words")
    result = await client.replay(log.mended(), handle)

    assert (result.value, log.read(), result.divergences) == (1, ["send"], [])


async def test_a_consumer_that_broke_over_an_item_gets_the_whole_stream_anew(client: Client, log: Log) -> None:
    @backtrail.step
    async def words() -> AsyncIterator[int]:
        log.ran("words")
        for i in range(4):
            yield i

    @backtrail.step
    async def note(word: int) -> int:
        log.ran(f"note {word}")
        return word

    @backtrail.run
    async def handle(ctx: RunContext) -> int:
        log.run_id = ctx.run.run_id
        total = 0
        async for word in words():
            total += await note(word)
            if word == 2 and log.broken:
                raise ValueError("a mistake of the consumer's")
        return total

    with pytest.raises(ValueError, match="mistake"):
        await handle()
    gc.collect()
    await recorded(client, log.run_id, "words")
    result = await client.replay(log.mended(), handle)

    assert result.value == 6
    assert log.read() == ["words", "note 3"]


@pytest.mark.parametrize("is_handled", [True, False])
async def test_a_stream_that_broke_off_is_served_if_that_was_handled_and_else_runs(
    client: Client, log: Log, is_handled: bool
) -> None:
    @backtrail.step
    async def words() -> AsyncIterator[int]:
        log.ran("words")
        for i in range(9):
            if i == 5 and log.broken:
                raise ConnectionError("cut off")
            yield i

    @backtrail.step
    async def instead() -> str:
        log.ran("instead")
        if log.broken:
            raise RuntimeError("no")
        return "instead"

    @backtrail.run
    async def handle(ctx: RunContext) -> list[Any]:
        log.run_id = ctx.run.run_id
        taken: list[Any] = []
        try:
            async for word in words():
                taken.append(word)
        except ConnectionError as error:
            if not is_handled:
                raise
            taken += [str(error), await instead()]
        return taken

    with pytest.raises(RuntimeError if is_handled else ConnectionError):
        await handle()
    result = await client.replay(log.mended(), handle)

    if is_handled:
        assert (result.value, log.read()) == ([0, 1, 2, 3, 4, "cut off", "instead"], ["instead"])
    else:
        assert (result.value, log.read()) == (list(range(9)), ["words"])


async def test_a_stream_around_the_failed_step_runs_on_what_it_had_finished(client: Client, log: Log) -> None:
    @backtrail.step
    async def page(n: int) -> int:
        log.ran(f"page {n}")
        if n == 2 and log.broken:
            raise TimeoutError
        return n

    @backtrail.step
    async def pages() -> AsyncIterator[int]:
        log.ran("pages")
        for n in range(4):
            yield await page(n)

    @backtrail.run
    async def handle(ctx: RunContext) -> list[int]:
        log.run_id = ctx.run.run_id
        return [n async for n in pages()]

    with pytest.raises(TimeoutError):
        await handle()
    result = await client.replay(log.mended(), handle)

    assert result.value == [0, 1, 2, 3]
    assert log.read() == ["pages", "page 2", "page 3"]


async def test_a_stream_that_lost_a_race_waits_to_lose_it_again(client: Client, log: Log) -> None:
    @backtrail.step
    async def slow() -> AsyncIterator[str]:
        log.ran("slow")
        yield "slowly"
        await asyncio.sleep(30)
        yield "too late"

    @backtrail.step
    async def finish(text: str) -> str:
        if log.broken:
            raise RuntimeError("no")
        return text

    @backtrail.run
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        taken = []

        async def read() -> None:
            async for word in slow():
                taken.append(word)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(), 0.2)
        return await finish(" ".join(taken))

    with pytest.raises(RuntimeError):
        await handle()
    result = await client.replay(log.mended(), handle)

    assert (result.value, log.read(), result.divergences) == ("slowly", [], [])


class Answer:
    """What a client of a model returns."""

    def __init__(self, *pieces: str) -> None:
        self._pieces = list(pieces)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Word:
        if not self._pieces:
            raise StopAsyncIteration
        return Word(self._pieces.pop(0))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        self._pieces.clear()


async def test_the_stream_a_function_returns_is_served_as_an_object_of_its_kind(client: Client, log: Log) -> None:
    @backtrail.step(kind="llm", stream=True, result_type=Word)
    async def ask(prompt: str) -> Answer:
        log.ran(prompt)
        if prompt == "fails":
            raise ConnectionError("refused")
        return Answer("a", "b", "c")

    @backtrail.step(stream=True)
    def ask_at_once() -> Iterator[str]:
        log.ran("at once")
        return iter(("x", "y"))

    @backtrail.run
    async def handle(ctx: RunContext) -> list[Any]:
        log.run_id = ctx.run.run_id
        whole = [piece.text async for piece in await ask("whole")]
        async with await ask("one") as answer:
            first = await anext(answer)
        closed = await ask("none")
        await closed.close()
        with pytest.raises(ConnectionError, match="refused"):
            await ask("fails")
        at_once = list(ask_at_once())
        with backtrail.step("send"):
            if log.broken:
                raise TimeoutError
        return [*whole, first.text, *at_once]

    with pytest.raises(TimeoutError):
        await handle()
    result = await client.replay(log.mended(), handle)

    assert (result.value, log.read()) == (["a", "b", "c", "a", "x", "y"], [])
    assert result.divergences == []


async def test_a_stream_nobody_could_keep_is_refused_or_runs(client: Client, log: Log) -> None:
    @backtrail.step
    async def files() -> AsyncIterator[object]:
        log.ran("files")
        yield object()

    @backtrail.run
    async def handle(ctx: RunContext) -> int:
        log.run_id = ctx.run.run_id
        return len([file async for file in files()])

    await handle()
    recorded = log.mended()
    with pytest.raises(ResultNotReplayableError) as refusal:
        await client.replay(recorded, handle)
    assert (refusal.value.reason, log.read()) == ("opaque", [])

    result = await client.replay(recorded, handle, on_undecodable="live")
    assert (result.value, log.read()) == (1, ["files"])


async def test_a_stream_that_is_one_result_now_is_not_served(client: Client, log: Log) -> None:
    async def words() -> AsyncIterator[int]:
        yield 1

    async def one_word() -> int:
        return 1

    as_stream, as_result = backtrail.step("words")(words), backtrail.step("words")(one_word)

    @backtrail.run
    async def handle(ctx: RunContext) -> Any:
        log.run_id = ctx.run.run_id
        return [word async for word in as_stream()] if log.broken else await as_result()

    await handle()
    recorded = log.mended()
    with pytest.raises(ResultNotReplayableError, match="a stream was recorded"):
        await client.replay(recorded, handle)
    result = await client.replay(recorded, handle, on_undecodable="live")
    log.broken = True
    assert result.value == 1
    with pytest.raises(ResultNotReplayableError, match="one result was recorded"):
        await client.replay(result.run_id, handle)


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_run_that_is_a_stream_is_replayed_to_its_end(client: Client, log: Log, is_async: bool) -> None:
    @backtrail.step
    def part(n: int) -> int:
        log.ran(f"part {n}")
        if n == 1 and log.broken:
            raise TimeoutError
        return n

    @backtrail.run
    async def later(ctx: RunContext) -> AsyncIterator[int]:
        log.run_id = ctx.run.run_id
        for n in range(3):
            yield part(n)

    @backtrail.run
    def at_once(ctx: RunContext) -> Iterator[int]:
        log.run_id = ctx.run.run_id
        for n in range(3):
            yield part(n)

    async def drain() -> list[int]:
        return [n async for n in later()] if is_async else list(at_once())

    with pytest.raises(TimeoutError):
        await drain()
    result = await client.replay(log.mended(), later if is_async else at_once)

    assert (result.value, log.read()) == ([0, 1, 2], ["part 1", "part 2"])
    again = await asyncio.to_thread(client.replay_sync, result.run_id, later if is_async else at_once)
    assert (again.value, again.live) == ([0, 1, 2], 0)


async def test_streams_read_at_once_end_in_their_recorded_order(client: Client, log: Log) -> None:
    waits = {"a": 0.03, "b": 0.01, "c": 0.02}

    @backtrail.step
    async def words(name: str) -> AsyncIterator[str]:
        log.ran(name)
        yield f"{name}1"
        await asyncio.sleep(waits[name])
        yield f"{name}2"

    @backtrail.run
    async def handle(ctx: RunContext) -> list[str]:
        log.run_id = ctx.run.run_id
        order: list[str] = []

        async def read(name: str) -> None:
            async for _ in words(name):
                await asyncio.sleep(0)
            order.append(name)

        await asyncio.gather(*map(read, waits))
        with backtrail.step("last"):
            if log.broken:
                raise TimeoutError
        return order

    with pytest.raises(TimeoutError):
        await handle()
    waits.update(a=0, b=0, c=0)
    result = await client.replay(log.mended(), handle)

    assert (result.value, log.read()) == (["b", "c", "a"], [])
