"""Two runs of a program agree on who each step is, whatever the scheduler did."""

import asyncio
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

import backtrail
from backtrail import RunContext, get_current_run_context, semconv
from backtrail._runs.identity import ident_text, json_string, loose_key, step_key
from backtrail.canonical import H
from backtrail.testing import capture_spans


def steps_of(program: Callable[[], Any]) -> Sequence[ReadableSpan]:
    with capture_spans() as spans:
        program()
    return spans.of_kind("step")


def attribute(span: ReadableSpan, name: str) -> Any:
    return (span.attributes or {}).get(name)


def keys_by_result(program: Callable[[], Any]) -> dict[str, str]:
    return {attribute(s, semconv.STEP_RESULT): attribute(s, semconv.STEP_KEY) for s in steps_of(program)}


def test_keys_put_together_by_hand_are_the_hashes_of_the_formulas() -> None:
    scope = [["task", 'wor"ker', 0]]
    text = f'[["task",{json_string(scope[0][1])},0]]'

    by_input = step_key("a1", text, json_string("näme"), "null", ident_text(None, "f00"), 2)
    by_key = step_key("a1", text, json_string("näme"), json_string("2"), ident_text('k"', "f00"), 0)

    assert by_input == H(["1", "step", "a1", scope, "näme", None, ["input", "f00"], 2])[:32]
    assert by_key == H(["1", "step", "a1", scope, "näme", "2", ["key", 'k"'], 0])[:32]
    assert loose_key(json_string("a"), json_string("n"), "f00") == H(["1", "loose", "a", "n", "f00"])[:32]


def test_positional_keyword_and_defaulted_arguments_agree() -> None:
    @backtrail.step
    def search(query: str, limit: int = 10) -> None: ...

    @backtrail.run
    def program() -> None:
        search("a")
        search(query="a")
        search("a", 10)
        search("a", limit=10)
        search("a", 11)

    hashes = [attribute(span, semconv.STEP_INPUT_HASH) for span in steps_of(program)]
    occurrences = [attribute(span, semconv.STEP_OCCURRENCE) for span in steps_of(program)]

    assert len(set(hashes[:4])) == 1
    assert hashes[4] != hashes[0]
    assert occurrences == [0, 1, 2, 3, 0]


def test_contexts_receivers_and_ignored_parameters_are_not_hashed() -> None:
    class Shop:
        @backtrail.step(ignore=("token",))
        def buy(self, item: str, token: str, ctx: RunContext | None = None) -> None: ...

    @backtrail.run
    def program() -> None:
        Shop().buy("lamp", "secret 1")
        Shop().buy("lamp", token="secret 2")

    first, second = steps_of(program)

    assert attribute(first, semconv.STEP_INPUT_HASH) == attribute(second, semconv.STEP_INPUT_HASH)
    assert attribute(first, semconv.STEP_INPUT) == '{"item":"lamp"}'
    assert attribute(first, semconv.STEP_HASH_EXCLUDED) == '["ctx","token"]'


def test_gathered_calls_of_one_name_keep_their_keys_whatever_their_latency() -> None:
    @backtrail.step
    async def ask(question: str, branch: int) -> int:
        await asyncio.sleep(random.random() / 500)
        return branch

    @backtrail.step(ignore=("branch",))
    async def think(branch: int) -> str:
        await asyncio.sleep(random.random() / 500)
        return f"thought {branch}"

    async def work(branch: int) -> None:
        await asyncio.sleep(random.random() / 500)
        await think(branch)
        await think(branch + 100)

    @backtrail.run
    async def program() -> None:
        await asyncio.gather(*(ask("same", n) for n in range(6)))
        await asyncio.gather(*(work(n) for n in range(6)))
        async with asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(work(n + 200))

    expected = keys_by_result(lambda: asyncio.run(program()))

    assert len(expected) == 30
    assert len(set(expected.values())) == 30
    for _ in range(20):
        assert keys_by_result(lambda: asyncio.run(program())) == expected


def eager_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
    return loop


def uv_loop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = pytest.importorskip("uvloop").new_event_loop()
    return loop


@pytest.mark.parametrize("make_loop", [eager_loop, uv_loop])
def test_keys_do_not_depend_on_the_kind_of_loop(make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    if make_loop is eager_loop and sys.version_info < (3, 12):
        pytest.skip("eager tasks came with Python 3.12")

    @backtrail.step
    async def think(n: int) -> str:
        await asyncio.sleep(random.random() / 500)
        return f"thought {n}"

    async def work(n: int) -> None:
        await asyncio.sleep(0)
        await think(n)

    @backtrail.run
    async def program() -> None:
        await asyncio.gather(*(work(n) for n in range(5)), think(5))

    def with_other_loop() -> None:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(program())

    assert keys_by_result(with_other_loop) == keys_by_result(lambda: asyncio.run(program()))


def test_a_step_restarts_the_scope_for_the_steps_within() -> None:
    @backtrail.step
    def inner() -> None: ...

    @backtrail.step
    def outer() -> None:
        inner()
        inner()

    @backtrail.run
    def program() -> None:
        outer()
        outer()

    spans = steps_of(program)
    outer_keys = [attribute(span, semconv.STEP_KEY) for span in spans if span.name == "outer"]
    inner_spans = [span for span in spans if span.name == "inner"]

    assert [attribute(span, semconv.STEP_SCOPE) for span in inner_spans] == [
        f'[["step","{key}"]]' for key in outer_keys for _ in range(2)
    ]
    assert [attribute(span, semconv.STEP_OCCURRENCE) for span in inner_spans] == [0, 1, 0, 1]


def test_branches_and_threads_name_their_scopes() -> None:
    @backtrail.step
    def note() -> str:
        return threading.current_thread().name

    def work() -> str:
        return note()

    @backtrail.run
    async def program(ctx: RunContext) -> None:
        with ctx.branch("eu"):
            note()
        with ctx.branch("us"):
            note()
        await asyncio.gather(ctx.run_in_thread(work), ctx.run_in_thread(work))
        with ThreadPoolExecutor(2) as pool:
            ctx.submit(pool, work).result()

    scopes = [attribute(span, semconv.STEP_SCOPE) for span in steps_of(lambda: asyncio.run(program()))]
    name = work.__qualname__

    assert scopes[:2] == ['[["branch","eu",0]]', '[["branch","us",0]]']
    assert sorted(scopes[2:]) == [f'[["thread","{name}",{n}]]' for n in range(3)]


def test_two_threads_with_one_scope_are_called_ambiguous() -> None:
    import contextvars

    @backtrail.step
    def note() -> None: ...

    @backtrail.run
    def program() -> None:
        note()
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(note,))
        thread.start()
        thread.join()

    assert [attribute(span, semconv.STEP_AMBIGUOUS) for span in steps_of(program)] == [None, True]


def test_an_explicit_key_and_a_tool_call_id_take_the_place_of_the_input() -> None:
    @backtrail.step(key=lambda user, **_: f"user-{user}")
    def greet(user: int, mood: str) -> None: ...

    @backtrail.tool
    def lookup(query: str, tool_call_id: str) -> None: ...

    @backtrail.run
    def program() -> None:
        greet(1, "good")
        lookup("a", tool_call_id="call_7")

    first, second = steps_of(program)

    assert attribute(first, semconv.STEP_EXPLICIT_KEY) == "user-1"
    assert attribute(second, semconv.STEP_EXPLICIT_KEY) == "call_7"
    assert attribute(second, semconv.GEN_AI_TOOL_CALL_ID) == "call_7"


def test_a_loop_gets_its_own_task_factory_back() -> None:
    @backtrail.run
    async def program() -> None:
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))

    async def main() -> tuple[object, object]:
        before = asyncio.get_running_loop().get_task_factory()
        await asyncio.gather(program(), program())
        return before, asyncio.get_running_loop().get_task_factory()

    with capture_spans():
        before, after = asyncio.run(main())

    assert before is after


PROGRAM = """
import backtrail
from backtrail.testing import capture_spans
@backtrail.step
def f(a, b={"x": {1, 2, 3}, "y": {"p", "q", "r"}}, *rest, **more): return 1
@backtrail.agent
def g(): f("é"); f({"k": {"z", "y"}}, c=1)
@backtrail.run
def main(): g()
with capture_spans() as spans: main()
print([span.attributes["backtrail.step.key"] for span in spans.of_kind("step")])
"""


def test_keys_are_equal_in_processes_with_other_hash_seeds() -> None:
    def keys(seed: str) -> str:
        environment = {"PYTHONHASHSEED": seed, "PATH": ""}
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert keys("1") == keys("2") == keys("77")


def test_a_thread_asked_for_without_an_event_loop_names_what_to_call_instead() -> None:
    @backtrail.run
    def handle() -> None:
        get_current_run_context().run_in_thread(print)

    with capture_spans(), pytest.raises(RuntimeError, match=r"without an event loop, use submit\("):
        handle()
