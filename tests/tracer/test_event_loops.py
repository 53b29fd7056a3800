"""However a program makes its tasks, each has its own scope and nothing gets into another's."""

import asyncio
import contextvars
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest
import uvloop
from opentelemetry.sdk.trace import ReadableSpan

import backtrail
from backtrail import get_current_run_context, semconv
from backtrail.testing import CapturedSpans

TASKS = 1_000
LEVELS = 20


def said(span: ReadableSpan, name: str) -> Any:
    return (span.attributes or {}).get(name)


# --- Many at once -------------------------------------------------------------------------------------------


@backtrail.step
async def descend(task: int, level: int) -> int:
    await asyncio.sleep(0)
    if level + 1 == LEVELS - 5:
        return await asyncio.to_thread(descend_in_thread, task, level + 1)
    if level % 5 == 4:
        return await delegate(task, level + 1)
    return await descend(task, level + 1)


@backtrail.agent
async def delegate(task: int, level: int) -> int:
    return await descend(task, level)


@backtrail.step
def descend_in_thread(task: int, level: int) -> int:
    return task if level + 1 == LEVELS else descend_in_thread(task, level + 1)


@backtrail.run
async def run_alone(query: str, task: int) -> int:
    return await delegate(task, 0)


@backtrail.run
async def run_together(query: str) -> list[int]:
    return await asyncio.gather(*(delegate(task, 0) for task in range(TASKS)))


@pytest.mark.parametrize("has_own_run", [True, False])
async def test_a_thousand_tasks_of_twenty_nested_steps_do_not_meet(has_own_run: bool, spans: CapturedSpans) -> None:
    if has_own_run:
        results = await asyncio.gather(*(run_alone(f"query {task}", task) for task in range(TASKS)))
    else:
        results = await run_together("query")

    assert results == list(range(TASKS))
    by_id = {(span.context.trace_id, span.context.span_id): span for span in spans}
    steps = spans.of_kind("step")
    assert Counter(json.loads(said(step, semconv.STEP_INPUT))["level"] for step in steps) == dict.fromkeys(
        range(LEVELS), TASKS
    )
    assert len({(step.context.trace_id, said(step, semconv.STEP_KEY)) for step in steps}) == len(steps)
    for step in steps:
        task, level = json.loads(said(step, semconv.STEP_INPUT)).values()
        assert step.parent is not None
        above = by_id[step.parent.trace_id, step.parent.span_id]
        above_input = json.loads(said(above, semconv.STEP_INPUT) or said(above, semconv.AGENT_INPUT))
        is_first_of_agent = level in (0, 5, 10)
        assert above_input == {"task": task, "level": level if is_first_of_agent else level - 1}
        assert said(above, semconv.KIND) == ("agent" if is_first_of_agent else "step")
        delegations = min(level // 5, 2)
        assert said(step, semconv.DEPTH) == delegations
        assert said(step, semconv.QUERY) == (f"query {task}" if has_own_run else "query")
        chain, agent = [], above
        while said(agent, semconv.KIND) != "run":
            if said(agent, semconv.KIND) == "agent":
                chain.append(said(agent, semconv.TASK_ID))
            assert agent.parent is not None
            agent = by_id[agent.parent.trace_id, agent.parent.span_id]
        assert [said(step, semconv.TASK_ID), *reversed(said(step, semconv.TASK_CHAIN) or ())] == chain
        assert not said(step, semconv.STEP_WEAK_SCOPE)
        assert not said(step, semconv.STEP_AMBIGUOUS)


# --- Every way to make a task -------------------------------------------------------------------------------


@backtrail.step
async def ask(question: str) -> str:
    await asyncio.sleep(0)
    return question


async def branch(question: str) -> str:
    return await ask(question)


async def gathered() -> None:
    await asyncio.gather(*(branch("same") for _ in range(3)))


async def grouped() -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(branch("same"))


async def as_they_complete() -> None:
    for done in asyncio.as_completed([branch("same") for _ in range(3)]):
        await done


async def first_completed() -> None:
    loop = asyncio.get_running_loop()
    left = {loop.create_task(branch("same")) for _ in range(3)}
    while left:
        _, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)


async def in_an_anyio_group() -> None:
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(branch, "same")


WAYS = [gathered, grouped, as_they_complete, first_completed, in_an_anyio_group]


@backtrail.run
async def run_of(function: Callable[[], Awaitable[None]]) -> None:
    await function()


def frames(spans: CapturedSpans) -> list[list[Any]]:
    scopes = [json.loads(said(step, semconv.STEP_SCOPE)) for step in spans.of_kind("step")]
    return sorted(scope[-1] for scope in scopes if scope)


def own_frames(way: Callable[[], Awaitable[None]]) -> list[list[Any]]:
    name = "TaskHandle._run_coro" if way is in_an_anyio_group else "branch"
    return [["task", name, number] for number in range(3)]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("way", WAYS)
def test_each_task_has_its_own_scope(
    way: Callable[[], Coroutine[Any, Any, None]], new_loop: Any, spans: CapturedSpans
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run_of(way))
        assert runner.get_loop().get_task_factory() is None

    assert frames(spans) == own_frames(way)
    assert not any(said(step, semconv.STEP_WEAK_SCOPE) for step in spans.of_kind("step"))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio has them since Python 3.12")
@pytest.mark.parametrize("way", WAYS[:-1])
async def test_eager_tasks_have_it_too(way: Callable[[], Awaitable[None]], spans: CapturedSpans) -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009  (unknown to the types of 3.11)

    await run_of(way)

    assert loop.get_task_factory() is getattr(asyncio, "eager_task_factory")  # noqa: B009
    assert frames(spans) == own_frames(way)


async def test_the_programs_own_factory_makes_the_tasks_and_is_there_afterwards(spans: CapturedSpans) -> None:
    loop = asyncio.get_running_loop()
    made: list[str] = []

    def theirs(loop: asyncio.AbstractEventLoop, coroutine: Any, **arguments: Any) -> Any:
        made.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **arguments)

    loop.set_task_factory(theirs)
    await run_of(gathered)

    assert loop.get_task_factory() is theirs
    assert made.count("branch") == 3
    assert frames(spans) == own_frames(gathered)


def plain_factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **arguments: Any) -> Any:
    return asyncio.Task(coroutine, loop=loop, **arguments)


async def test_tasks_made_past_our_factory_are_framed_at_their_first_step_and_say_so(spans: CapturedSpans) -> None:
    async def program() -> None:
        asyncio.get_running_loop().set_task_factory(plain_factory)
        await gathered()

    await run_of(program)

    assert frames(spans) == own_frames(gathered)
    assert [said(step, semconv.STEP_WEAK_SCOPE) for step in spans.of_kind("step")] == [True] * 3
    assert asyncio.get_running_loop().get_task_factory() is plain_factory


async def test_a_factory_that_calls_ours_keeps_scopes_whole(spans: CapturedSpans) -> None:
    async def program() -> None:
        loop = asyncio.get_running_loop()
        ours = loop.get_task_factory()
        assert ours is not None

        def around(loop: asyncio.AbstractEventLoop, coroutine: Any, **arguments: Any) -> Any:
            return ours(loop, coroutine, **arguments)

        loop.set_task_factory(around)
        await gathered()

    await run_of(program)

    assert frames(spans) == own_frames(gathered)
    assert not any(said(step, semconv.STEP_WEAK_SCOPE) for step in spans.of_kind("step"))


async def test_runs_side_by_side_keep_the_factory_until_the_last_has_ended(spans: CapturedSpans) -> None:
    loop = asyncio.get_running_loop()
    may_end = asyncio.Event()

    async def waiting() -> None:
        await may_end.wait()
        await gathered()

    async def replacing() -> None:
        loop.set_task_factory(plain_factory)
        await branch("other")

    late = asyncio.ensure_future(run_of(waiting))
    await asyncio.sleep(0)
    await run_of(replacing)
    may_end.set()
    await late

    assert loop.get_task_factory() is plain_factory
    assert frames(spans)[-3:] == own_frames(gathered)


def test_a_loop_begun_inside_a_run_is_part_of_it(spans: CapturedSpans) -> None:
    @backtrail.run
    def program() -> None:
        asyncio.run(gathered())

    @backtrail.run
    async def with_threads() -> None:
        await get_current_run_context().run_in_thread(asyncio.run, gathered())

    program()
    assert frames(spans) == own_frames(gathered)

    spans.clear()
    asyncio.run(with_threads())
    assert frames(spans) == own_frames(gathered)


def test_the_first_task_of_a_loop_begun_inside_a_run_needs_no_frame(spans: CapturedSpans) -> None:
    @backtrail.run
    def program() -> None:
        asyncio.run(first())

    async def first() -> None:
        await ask("first")
        await gathered()

    program()

    assert frames(spans) == own_frames(gathered)
    assert [said(step, semconv.STEP_WEAK_SCOPE) for step in spans.of_kind("step")] == [None] * 4


async def test_a_task_given_a_context_of_its_own_is_framed_in_it(spans: CapturedSpans) -> None:
    async def program() -> None:
        loop = asyncio.get_running_loop()
        outside = loop.create_task(branch("outside"), context=contextvars.Context())
        inside = [loop.create_task(branch("same"), context=contextvars.copy_context()) for _ in range(3)]
        await asyncio.gather(outside, *inside)

    await run_of(program)

    assert frames(spans) == own_frames(gathered)
