"""Work that a run hands to threads stays part of it, without being asked to; work outside a run is left alone."""

import asyncio
import contextvars
import functools
import inspect
import json
import pickle
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
from opentelemetry import baggage, context

import backtrail
from backtrail import get_current_run_context, has_active_run, semconv
from backtrail.testing import CapturedSpans, capture_spans


@backtrail.step
def work(name: str) -> str:
    time.sleep(random.random() / 500)
    return name


@backtrail.run
def run_of(function: Callable[..., Any]) -> Any:
    return function()


@backtrail.run
async def run_of_async(function: Callable[..., Any]) -> Any:
    return await function()


def scopes(spans: CapturedSpans) -> list[Any]:
    found = [json.loads(str((span.attributes or {})[semconv.STEP_SCOPE])) for span in spans.of_kind("step")]
    return sorted(found, key=str)


def threads(name: str, count: int) -> list[Any]:
    return [[["thread", name, number]] for number in range(count)]


def test_a_thread_pool_carries_the_run_and_names_each_calls_scope(spans: CapturedSpans) -> None:
    def program() -> list[str]:
        with ThreadPoolExecutor(3) as executor:
            return [*executor.map(work, ["same"] * 4), executor.submit(functools.partial(work, name="same")).result()]

    assert run_of(program) == ["same"] * 5
    assert scopes(spans) == threads("work", 5)
    assert not any((span.attributes or {}).get(semconv.STEP_AMBIGUOUS) for span in spans)


async def test_an_event_loops_threads_carry_it_too(spans: CapturedSpans) -> None:
    async def program() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(asyncio.to_thread(work, "a") for _ in range(2)))
        await asyncio.gather(*(loop.run_in_executor(None, work, "a") for _ in range(2)))
        await get_current_run_context().run_in_thread(work, "a")

    await run_of_async(program)

    found = scopes(spans)
    assert [scope[-1] for scope in found if len(scope) == 1] == [["thread", "work", number] for number in range(3)]
    assert [scope[0][1:] for scope in found if len(scope) == 2] == [["to_thread", 0], ["to_thread", 1]]
    assert {tuple(scope[1]) for scope in found if len(scope) == 2} == {("thread", "work", 0)}


def test_copied_contexts_are_framed_and_nothing_else_in_them_is_touched(spans: CapturedSpans) -> None:
    mine: contextvars.ContextVar[str] = contextvars.ContextVar("mine")

    def read(name: str) -> str:
        return work(f"{mine.get()} {name}")

    def program() -> list[str]:
        mine.set("here")
        copies = [contextvars.copy_context() for _ in range(3)]
        with ThreadPoolExecutor(3) as executor:
            calls = [
                executor.submit(copies[0].run, read, "a"),
                executor.submit(functools.partial(copies[1].run, read, "a")),
            ]
            results = [call.result() for call in calls]
        assert [copy.run(has_active_run) for copy in copies] == [True] * 3
        return results

    assert run_of(program) == ["here a"] * 2
    assert [scope[0][2] for scope in scopes(spans)] == [0, 1]


def test_a_pools_own_context_variables_stay_as_they_are(spans: CapturedSpans) -> None:
    mine: contextvars.ContextVar[str] = contextvars.ContextVar("mine", default="unset")

    def program() -> list[str]:
        mine.set("of the caller")
        with ThreadPoolExecutor(1, initializer=mine.set, initargs=("of the pool",)) as executor:
            found = [executor.submit(mine.get).result()]
            executor.submit(mine.set, "kept").result()
            return [*found, executor.submit(mine.get).result()]

    assert run_of(program) == ["of the pool", "kept"]


def test_opentelemetrys_context_goes_along(spans: CapturedSpans) -> None:
    def program() -> object:
        token = context.attach(baggage.set_baggage("tenant", "blue"))
        try:
            with ThreadPoolExecutor(1) as executor, ThreadPool(1) as pool:
                first = executor.submit(baggage.get_baggage, "tenant").result()
                return first, list(pool.imap(baggage.get_baggage, ["tenant"])), executor.submit(work, "a").result()
        finally:
            context.detach(token)

    with backtrail.run("outer"):
        parent = context.get_current()
        assert parent
        assert run_of(program) == ("blue", ["blue"], "a")


def test_a_pool_of_multiprocessing_threads_does_the_same(spans: CapturedSpans) -> None:
    def program() -> list[Any]:
        with ThreadPool(3) as pool:
            return [*pool.map(work, ["a"] * 2), *pool.starmap(work, [("a",)]), pool.apply(work, ("a",))]

    assert run_of(program) == ["a"] * 4
    assert scopes(spans) == threads("work", 4)


def test_a_worker_belongs_to_no_run(spans: CapturedSpans) -> None:
    with ThreadPoolExecutor(1) as executor:

        def program() -> bool:
            return executor.submit(has_active_run).result()

        assert run_of(program)
        assert not executor.submit(has_active_run).result()


def test_an_error_in_a_thread_is_the_users_own(spans: CapturedSpans) -> None:
    error = LookupError("gone")

    def broken() -> None:
        raise error

    def program() -> bool:
        with ThreadPoolExecutor(1) as executor:
            return executor.submit(broken).exception() is error

    assert run_of(program)


def test_subclasses_signatures_and_pickling_are_as_before(spans: CapturedSpans) -> None:
    class Counting(ThreadPoolExecutor):
        calls = 0

        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.calls += 1
            return super().submit(fn, *args, **kwargs)

    before = inspect.signature(ThreadPoolExecutor.__init__)

    def program() -> list[str]:
        with Counting(2) as executor:
            found = list(executor.map(work, ["a", "b"]))
            assert executor.calls == 2
            return found

    assert run_of(program) == ["a", "b"]
    assert scopes(spans) == threads("work", 2)
    assert str(inspect.signature(ThreadPoolExecutor.submit)) == "(self, fn, /, *args, **kwargs)"
    assert pickle.loads(pickle.dumps(ThreadPoolExecutor.submit)) is ThreadPoolExecutor.submit
    assert inspect.signature(ThreadPoolExecutor.__init__) == before


def test_shutdown_gives_the_pools_back_and_the_next_run_takes_them_again(spans: CapturedSpans) -> None:
    backtrail.shutdown()
    original = ThreadPoolExecutor.submit

    with capture_spans():
        run_of(int)
        patched = ThreadPoolExecutor.submit
        assert patched is not original
        run_of(int)
        assert ThreadPoolExecutor.submit is patched

    backtrail.shutdown()
    assert ThreadPoolExecutor.submit is original


def test_what_another_instrumentation_put_around_ours_is_left_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with capture_spans() as spans:
        run_of(int)
        ours: Any = ThreadPoolExecutor.submit

        @functools.wraps(ours)
        def theirs(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            return ours(self, fn, *args, **kwargs)

        monkeypatch.setattr(ThreadPoolExecutor, "submit", theirs)
        backtrail.shutdown()
        assert ThreadPoolExecutor.submit is theirs

    with capture_spans() as spans:

        def program() -> list[str]:
            with ThreadPoolExecutor(2) as executor:
                return list(executor.map(work, ["a"] * 2))

        run_of(program)
        assert ThreadPoolExecutor.submit is theirs
        assert scopes(spans) == threads("work", 2)


def test_a_thread_made_by_hand_is_carried_when_it_is_asked_for(spans: CapturedSpans) -> None:
    def program() -> None:
        ctx = get_current_run_context()
        made = [threading.Thread(target=ctx.carried(work), args=("a",)) for _ in range(2)]
        alone = threading.Thread(target=work, args=("alone",))
        for thread in (*made, alone):
            thread.start()
        for thread in (*made, alone):
            thread.join()

    run_of(program)

    assert scopes(spans) == threads("work", 2)
