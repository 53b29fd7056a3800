"""Every function of the SDK that works for a recording may raise: the program it works for goes on as it would.

A profiler follows the calls of a program that uses everything. It first writes down which SDK functions call which;
then the program runs once for each such call, and the profiler raises in its place. What may not be broken so is the
boundary itself: the functions that lead from the user's code into it and back, listed below.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import backtrail
from backtrail import AgentContext, RunContext, StepContext, ToolContext
from backtrail._boundary import _last_line, never_raise
from backtrail.testing import capture_spans

SDK = str(Path(backtrail.__file__).parent)
ENTER, EXIT = never_raise.__enter__.__code__, never_raise.__exit__.__code__
BOUNDARY = {ENTER, EXIT, never_raise.__init__.__code__}

Place = tuple[CodeType, CodeType, bool]  # a function, the one that calls it, whether inside the boundary


# Where an error of ours may reach the user, because there is nothing but the way in, or because it is the answer.
ENTRANCES = {
    "_calls/calls.py": "a decorated call: begin, the user's function, end",
    "_streams/streams.py": "the same for a function that yields",
    "_streams/streaming.py": "the same, item by item",
    "_calls/attempts.py": "whether to try again is what the user asked for, not its recording",
    "_calls/retries.py": "the same",
    "_calls/decorators.py": "wrong arguments of a decorator are to be said",
    "_calls/specs.py": "the same, and the way into a block",
    "_calls/spec.py": "the way out of a block",
    "_calls/block.py": "the same for what was started by hand",
    "_interceptors/interception.py": "what an interceptor forbids is to be forbidden, and leads to the way out",
    "_contexts/call_context.py": "a wrong context is to be said",
    "_contexts/run_context.py": "a method that leads to one function",
    "_contexts/agent_context.py": "the same",
    "_contexts/step_context.py": "the same",
    "_contexts/tool_context.py": "the same",
    "_contexts/current.py": "the same",
    "_processes/propagation.py": "the same",
    "_runs/effects.py": "the same",
    "_state/deltas.py": "the same",
    "_state/checkpoint.py": "the same",
    "_contexts/context_text.py": "to_json() gives the whole text or says why not",
    "_contexts/remembered.py": "the same",
    "_contexts/fields.py": "the same",
}
ENTRANCE_FUNCTIONS = {
    "encode": "catches by itself",
    "RunRuntime.start_agent": "leads into the boundary",
    "step_by_hand": "leads into the boundary",
    "run_in_thread": "leads into the boundary",
    "_LoopFactory.__call__": "makes the program's task",
    "decide": "asks for the runtime",
    "State.encoded": "for to_json()",
    "State.encoded.<locals>.<dictcomp>": "for to_json()",
}


class InjectedError(Exception):
    """Raised in place of a function of the SDK."""


class Follower:
    """Notes each place where the SDK calls one of its functions; raises at one of them, once."""

    def __init__(self, raise_at: Place | None = None) -> None:
        self.places: dict[Place, None] = {}
        self.has_raised = False
        self._raise_at = raise_at
        self._depth = 0

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "return" and code is ENTER:
            self._depth += 1
        elif event == "call" and code is EXIT:
            self._depth -= 1
        elif event == "call" and code not in BOUNDARY and is_sdk(code):
            caller = frame.f_back.f_code if frame.f_back else None
            if caller is not None and is_sdk(caller):
                self._called(code, caller)

    def _called(self, code: CodeType, caller: CodeType) -> None:
        place = (code, caller, self._depth > 0)
        self.places[place] = None
        if place == self._raise_at and not self.has_raised:
            self.has_raised = True
            raise InjectedError(code.co_qualname)


def is_sdk(code: CodeType) -> bool:
    return code.co_filename.startswith(SDK)


def is_entrance(caller: CodeType) -> bool:
    return str(Path(caller.co_filename).relative_to(SDK)) in ENTRANCES or caller.co_qualname in ENTRANCE_FUNCTIONS


@contextmanager
def followed(follower: Follower) -> Iterator[None]:
    def watch(frame: FrameType, event: str, argument: object) -> None:
        try:
            follower(frame, event, argument)
        except InjectedError:
            sys.setprofile(watch)  # an error ends the profiling; the rest of the program is followed as well
            raise

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


@backtrail.step
def add(a: int, b: int = 1) -> int:
    return a + b


@backtrail.tool
async def fetch(name: str, ctx: RunContext | None = None, this: StepContext | None = None) -> str:
    if this is not None:
        this.set_attribute("shop", "lamps")
        this.record_llm(request_model="m", input_tokens=1, output_tokens=2, input_messages=[{"role": "user"}])
    if ctx is not None:
        ctx.set_state("names", [*ctx.get_state("names", []), name])
    await asyncio.sleep(0)
    return name.upper()


@backtrail.step
def letters(word: str) -> Iterator[str]:
    yield from word


@backtrail.step
async def words(text: str) -> AsyncIterator[str]:
    for word in text.split():
        await asyncio.sleep(0)
        yield word


@backtrail.step(retries=2, backoff=0)
def unsure(tries: list[int]) -> int:
    tries.append(1)
    if len(tries) < 2:
        raise TimeoutError
    return len(tries)


@backtrail.tool
def remember(name: str, tools: ToolContext | None = None) -> str:
    if tools is not None:
        tools.state["remembered"] = name
        return str(tools.state["remembered"])
    return name


@backtrail.step
def fail() -> None:
    raise KeyError("lamp")


@backtrail.agent
async def helper(names: list[str], me: AgentContext | None = None) -> list[str]:
    if me is not None:
        me.set_state("count", len(names))
        me.delete_state("count")
    return list(await asyncio.gather(*map(fetch, names)))


WITH_A_RUN = {"branch": 6, "threaded": 8}


@backtrail.run
async def program(query: str, ctx: RunContext | None = None) -> dict[str, Any]:
    seen: dict[str, Any] = {"sum": add(1, b=2), "helped": await helper(["a", "b"])}
    try:
        fail()
    except KeyError as error:
        seen["failed"] = error.args
    seen["letters"] = list(letters("abc"))
    seen["words"] = [word async for word in words("a b c")]
    seen["unsure"] = unsure([])
    seen["remembered"] = remember("lamp")
    seen["pooled"] = await asyncio.to_thread(add, 11)
    with ThreadPoolExecutor(1) as pool:
        seen["mapped"] = list(pool.map(add, [1, 2]))
    with backtrail.extract(backtrail.inject({})):
        seen["extracted"] = add(13)
    with backtrail.step("block") as block:
        seen["block"] = add(3)
        block.complete(3)
    with backtrail.agent("by hand") as agent:
        agent.complete("done")
    if not backtrail.has_active_run():
        seen |= WITH_A_RUN  # it could not be started: what follows is for a program that asks
    else:
        current = backtrail.get_current_run_context()
        started = current.start_agent("third")
        async with started, started.start_step("manual", input_args=(1,)) as manual:
            manual.complete(1)
        with current.branch("eu"):
            seen["branch"] = add(5)
        await current.checkpoint("here", extra={"page": 1})
        current.delete_state("names")
        current.to_json()
        seen["threaded"] = await current.run_in_thread(add, 7)
    seen["now"] = backtrail.now_utc().year > 2000
    seen["id"] = len(backtrail.generate_id())
    return seen


@backtrail.run
def program_that_fails() -> None:
    try:
        fail()
    except KeyError as error:
        raise ValueError("no lamp") from error


def outcome() -> object:
    """What the program comes to, seen from outside."""
    seen: list[object] = [asyncio.run(program("lamps?")), asyncio.run(program.with_options(state={"a": 1})("again"))]
    with pytest.raises(ValueError, match="no lamp"):
        program_that_fails()
    with backtrail.run("block", query="q") as ctx:
        seen.append(add(9))
    seen.append(isinstance(ctx, RunContext))
    return seen


def follow(raise_at: Place | None = None) -> tuple[object, Follower]:
    follower = Follower(raise_at)
    _last_line.clear()
    with capture_spans(strict=False), followed(follower):
        # What was current and is not given back, because the giving back was broken, stays in here.
        came_to = copy_context().run(outcome)
    return came_to, follower


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")  # of a call that was broken off
def test_a_fault_in_any_function_of_ours_changes_nothing_for_the_program() -> None:
    expected, follower = follow()
    broken: list[str] = []
    places = [place for place in follower.places if place[2] or not is_entrance(place[1])]
    for place in places:
        try:
            came_to, injected = follow(place)
        except Exception as error:
            broken.append(f"{place[1].co_qualname} -> {place[0].co_qualname}: {error!r}")
            continue
        if injected.has_raised and came_to != expected:
            broken.append(f"{place[1].co_qualname} -> {place[0].co_qualname}: {came_to}")

    assert len(places) > 400
    assert broken == []
