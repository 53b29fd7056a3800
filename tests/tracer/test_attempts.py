"""A step with retries: one step, its tries below it, and the result or error of the last one."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

import backtrail
from backtrail import RunContext, StepContext, semconv
from backtrail._calls.attempts import Attempt
from backtrail._calls.retries import LONGEST_BACKOFF, retries_of
from backtrail.errors import RecordedError, ReplayDivergenceError
from backtrail.testing import CapturedSpans, capture_spans
from tests.tracer.test_recording import attributes, ids


class Flaky:
    """Fails a number of times, then answers."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        self.failures = failures
        self.error = error
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error or ConnectionError(f"down, call {self.calls}")
        return f"up at call {self.calls}"


def attempts(spans: CapturedSpans) -> list[tuple[Any, ...]]:
    """Number, status and what was made of it."""
    found = [attributes(span) for span in spans.of_kind("attempt")]
    names = (semconv.ATTEMPT_N, semconv.ATTEMPT_STATUS, semconv.ATTEMPT_BACKOFF_MS, semconv.ATTEMPT_GAVE_UP)
    return [tuple(one.get(name) for name in names) for one in found]


def the_step(spans: CapturedSpans) -> ReadableSpan:
    (step,) = spans.of_kind("step")
    return step


def test_each_try_is_a_span_below_the_one_step(spans: CapturedSpans) -> None:
    flaky = Flaky(2)

    @backtrail.step(retries=3, backoff=0.001)
    def fetch(url: str) -> str:
        return flaky()

    @backtrail.run
    def handle() -> str:
        return fetch("a")

    assert handle() == "up at call 3"

    step = the_step(spans)
    assert attempts(spans) == [(1, "failed", None, None), (2, "failed", 1, None), (3, "completed", 2, None)]
    assert [ids(span)[1] for span in spans.of_kind("attempt")] == [ids(step)[0]] * 3
    assert attributes(step)[semconv.STEP_ATTEMPTS] == 3
    assert attributes(step)[semconv.STEP_STATUS] == "completed"
    assert json.loads(attributes(step)[semconv.STEP_RESULT]) == "up at call 3"
    assert step.status.status_code is StatusCode.UNSET


def test_an_attempt_is_told_by_one_whole_span(spans: CapturedSpans) -> None:
    @backtrail.step(retries=1, backoff=0)
    def fetch() -> str:
        return Flaky(1)()

    @backtrail.run
    def handle(query: str) -> str:
        return fetch()

    with pytest.raises(ConnectionError, match="call 1"):
        handle("where?")

    last = spans.named("attempt 2")
    found = attributes(last)
    assert json.loads(found.pop(semconv.ATTEMPT_ERROR))["message"] == "down, call 1"
    assert found == {
        "backtrail.query": "where?",
        "backtrail.task.id": f"{1:032x}",
        "backtrail.depth": 0,
        "backtrail.agent.key": found["backtrail.agent.key"],
        "backtrail.agent.path": '[["default",0]]',
        "gen_ai.agent.name": "default",
        "backtrail.kind": "attempt",
        "backtrail.process": "00000001",
        "backtrail.number": 3,
        "backtrail.attempt.n": 2,
        "backtrail.attempt.status": "failed",
        "backtrail.attempt.backoff_ms": 0,
        "backtrail.attempt.gave_up": "exhausted",
        "error.type": "ConnectionError",
        "backtrail.digests": found["backtrail.digests"],
    }
    assert last.status.status_code is StatusCode.ERROR
    assert attributes(the_step(spans))[semconv.STEP_STATUS] == "failed"


def test_numbers_have_no_holes(spans: CapturedSpans) -> None:
    flaky = Flaky(2)

    @backtrail.step(retries=2, backoff=0)
    def fetch(ctx: RunContext) -> str:
        ctx.set_state("tries", flaky.calls)
        return flaky()

    @backtrail.run
    def handle() -> str:
        return fetch()

    handle()

    numbers = sorted(attributes(span)[semconv.NUMBER] for span in spans)
    assert numbers == list(range(1, attributes(spans.named("handle"))[semconv.RUN_NUMBER_MAX] + 1))


async def test_async_steps_are_tried_again_and_others_go_on_meanwhile(spans: CapturedSpans) -> None:
    flaky, order = Flaky(1), list[str]()

    @backtrail.step(retries=1, backoff=0.05)
    async def fetch() -> str:
        await asyncio.sleep(0)
        return flaky()

    @backtrail.run
    async def handle() -> list[str]:
        async def other() -> str:
            order.append("other")
            return "other"

        async def fetched() -> str:
            answer = await fetch()
            order.append("fetched")
            return answer

        return list(await asyncio.gather(fetched(), other()))

    assert await handle() == ["up at call 2", "other"]
    assert order == ["other", "fetched"]
    assert attempts(spans) == [(1, "failed", None, None), (2, "completed", 50, None)]


async def test_a_cancel_while_waiting_is_a_cancel(spans: CapturedSpans) -> None:
    flaky = Flaky(9)

    @backtrail.step(retries=3, backoff=60)
    async def fetch() -> str:
        return flaky()

    @backtrail.run
    async def handle() -> str:
        return await asyncio.wait_for(fetch(), 0.05)

    with pytest.raises(TimeoutError):
        await handle()

    assert flaky.calls == 1
    assert attempts(spans) == [(1, "failed", None, None)]
    assert attributes(the_step(spans))[semconv.STEP_STATUS] == "cancelled"


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_the_end_of_a_program_is_not_retried(spans: CapturedSpans, error: BaseException) -> None:
    flaky = Flaky(9, error)

    @backtrail.step(retries=3, retry_on=BaseException, backoff=0)
    def fetch() -> str:
        return flaky()

    @backtrail.run
    def handle() -> str:
        return fetch()

    with pytest.raises(type(error)):
        handle()
    assert (flaky.calls, attempts(spans)) == (1, [(1, "cancelled", None, None)])


@pytest.mark.parametrize("retry_on", [ConnectionError, (ValueError, OSError), lambda error: "call 1" in str(error)])
def test_retry_on_says_which_errors_are_tried_again(spans: CapturedSpans, retry_on: Any) -> None:
    def once(error: Exception) -> str:
        flaky = Flaky(1, error)
        return backtrail.step(retries=1, retry_on=retry_on, backoff=0)(flaky)()

    @backtrail.run
    def handle() -> str:
        with pytest.raises(KeyError):
            once(KeyError("not this"))
        return once(ConnectionError("down, call 1"))

    assert handle() == "up at call 2"
    assert attempts(spans)[0] == (1, "failed", None, "not_retryable")


def test_a_condition_that_fails_is_the_users_own_error_and_the_attempt_is_on_record(spans: CapturedSpans) -> None:
    def condition(error: BaseException) -> bool:
        raise LookupError("in the condition")

    @backtrail.step(retries=2, retry_on=condition, backoff=0)
    def fetch() -> str:
        raise ConnectionError("down")

    @backtrail.run
    def handle() -> str:
        return fetch()

    with pytest.raises(LookupError, match="in the condition") as failure:
        handle()

    assert isinstance(failure.value.__context__, ConnectionError)
    assert attempts(spans) == [(1, "failed", None, None)]
    assert attributes(the_step(spans))[semconv.ERROR_TYPE] == "LookupError"


def test_the_wait_doubles_up_to_a_limit_unless_the_user_counts_it_out() -> None:
    doubling = retries_of(2_000, Exception, 0.5)
    long = retries_of(3, Exception, 45)
    counted = retries_of(3, Exception, lambda retry: 100.0 * retry)
    assert doubling is not None
    assert long is not None
    assert counted is not None

    assert [doubling.pause_before(retry) for retry in (1, 2, 3, 7, 2_000)] == [
        0.5,
        1,
        2,
        LONGEST_BACKOFF,
        LONGEST_BACKOFF,
    ]
    assert [long.pause_before(retry) for retry in (1, 2)] == [45, 45]
    assert [counted.pause_before(retry) for retry in (1, 2)] == [100, 200]


def test_steps_in_a_try_are_below_its_span_and_counted_on(spans: CapturedSpans) -> None:
    flaky = Flaky(1)

    @backtrail.step
    def inner() -> str:
        return flaky()

    @backtrail.step(retries=1, backoff=0)
    def outer() -> str:
        return inner()

    @backtrail.run
    def handle() -> str:
        return outer()

    assert handle() == "up at call 2"
    outer_key = attributes(spans.named("outer"))[semconv.STEP_KEY]
    inners = [span for span in spans if span.name == "inner"]
    assert [ids(span)[1] for span in inners] == [ids(span)[0] for span in spans.of_kind("attempt")]
    assert {attributes(span)[semconv.STEP_SCOPE] for span in inners} == {f'[["step","{outer_key}"]]'}
    assert [attributes(span)[semconv.STEP_OCCURRENCE] for span in inners] == [0, 1]


def test_the_step_knows_which_try_it_is(spans: CapturedSpans) -> None:
    seen: list[tuple[int, int]] = []

    @backtrail.step(retries=2, backoff=0)
    def fetch(this: StepContext) -> None:
        seen.append((this.attempt, this.retry_count))
        if this.attempt < 3:
            raise ConnectionError

    @backtrail.step
    def plain(this: StepContext) -> None:
        seen.append((this.attempt, this.retry_count))

    @backtrail.run
    def handle() -> None:
        fetch()
        plain()

    handle()

    assert seen == [(1, 0), (2, 1), (3, 2), (1, 0)]


def test_a_step_without_retries_has_no_attempts(spans: CapturedSpans) -> None:
    @backtrail.step
    def fetch() -> str:
        return "at once"

    @backtrail.run
    def handle() -> str:
        return fetch()

    handle()

    assert spans.of_kind("attempt") == []
    assert semconv.STEP_ATTEMPTS not in attributes(the_step(spans))


def test_a_deadline_before_the_end_of_the_wait_ends_the_trying(spans: CapturedSpans) -> None:
    @dataclass
    class Timed(RunContext):
        deadline: datetime | None = None

    flaky = Flaky(9)

    @backtrail.step(retries=5, backoff=lambda retry: 0.0 if retry == 1 else 20.0)
    def fetch() -> str:
        return flaky()

    @backtrail.run
    def handle() -> str:
        return fetch()

    started = time.monotonic()
    with pytest.raises(ConnectionError, match="call 2"):
        handle(context=Timed(deadline=datetime.now(UTC) + timedelta(seconds=10)))

    assert time.monotonic() - started < 5
    assert attempts(spans) == [(1, "failed", None, None), (2, "failed", 0, "deadline")]


def test_a_step_that_waits_for_its_next_try_is_known_should_the_process_die(spans: CapturedSpans) -> None:
    seen: list[list[str]] = []

    def note(retry: int) -> float:
        return 0.0

    @backtrail.step(retries=2, backoff=note)
    def fetch(this: StepContext) -> None:
        seen.append([span.name for span in spans.pending if span.name == "fetch"])
        if this.attempt < 3:
            raise ConnectionError

    @backtrail.run
    def handle() -> None:
        fetch()

    handle()

    assert seen == [[], ["fetch"], ["fetch"]]


def test_the_words_of_a_failed_try_stay_away_where_those_of_the_step_do(spans: CapturedSpans) -> None:
    flaky = Flaky(1, ValueError("the patient's name"))

    @backtrail.step(retries=1, backoff=0, capture="metadata")
    def fetch() -> str:
        return flaky()

    @backtrail.run
    def handle() -> int:
        return len(fetch())

    assert handle() == len("up at call 2")
    assert attempts(spans)[0] == (1, "failed", None, None)
    assert "patient" not in "".join(span.to_json() for span in spans)


def test_a_try_whose_recording_fails_is_a_try_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    flaky, start = Flaky(2), Attempt.enter

    def enter(self: Attempt) -> None:
        if flaky.calls == 1:
            raise RuntimeError("a bug of ours")
        start(self)

    monkeypatch.setattr(Attempt, "enter", enter)

    @backtrail.step(retries=2, backoff=0)
    def fetch() -> str:
        return flaky()

    @backtrail.run
    def handle() -> str:
        return fetch()

    with capture_spans(strict=False) as spans:
        assert handle() == "up at call 3"
    assert [status[:2] for status in attempts(spans)] == [(1, "failed"), (3, "completed")]
    numbers = sorted(attributes(span)[semconv.NUMBER] for span in spans)
    assert numbers == list(range(1, len(numbers) + 1))


def test_retries_hold_outside_a_run_too() -> None:
    flaky = Flaky(2)

    @backtrail.step(retries=2, backoff=0)
    def fetch() -> str:
        return flaky()

    assert fetch() == "up at call 3"


def test_the_function_itself_is_tried_once() -> None:
    flaky = Flaky(1)

    @backtrail.step(retries=2, backoff=0)
    def fetch() -> str:
        return flaky()

    with pytest.raises(ConnectionError):
        fetch.__wrapped__()


def test_a_refused_replay_is_not_retried_but_an_error_of_the_record_is() -> None:
    retries = retries_of(1, Exception, 0)
    assert retries is not None

    assert not retries.wants(ReplayDivergenceError("another call"))
    assert retries.wants(RecordedError("as it was"))


async def test_methods_and_partial_failures_in_parallel_keep_their_tries_apart(spans: CapturedSpans) -> None:
    class Fetcher:
        def __init__(self) -> None:
            self.calls: dict[str, int] = {}

        @backtrail.step(retries=2, backoff=0)
        async def fetch(self, name: str, this: StepContext) -> tuple[str, int]:
            await asyncio.sleep(0)
            if this.attempt < len(name):
                raise ConnectionError(name)
            return name, this.attempt

    @backtrail.run
    async def handle() -> list[tuple[str, int]]:
        fetcher = Fetcher()
        return await asyncio.gather(*(fetcher.fetch(name) for name in ("a", "bb", "ccc")))

    assert await handle() == [("a", 1), ("bb", 2), ("ccc", 3)]
    below = {ids(step)[0]: attributes(step)[semconv.STEP_ATTEMPTS] for step in spans.of_kind("step")}
    counted = dict.fromkeys(below, 0)
    for span in spans.of_kind("attempt"):
        counted[ids(span)[1] or 0] += 1
    assert counted == below


def generate() -> Iterator[int]:
    yield 1


async def generate_async() -> Any:
    yield 1


@pytest.mark.parametrize("function", [generate, generate_async])
def test_what_yields_cannot_be_repeated(function: Any) -> None:
    with pytest.raises(TypeError, match="gives a stream"):
        backtrail.step(retries=1)(function)


def test_what_returns_a_stream_cannot_be_repeated_either() -> None:
    with pytest.raises(TypeError, match="gives a stream"):
        backtrail.step(retries=1, stream=True)(lambda: iter(()))


async def test_a_block_cannot_be_repeated() -> None:
    with pytest.raises(TypeError, match="a block runs once"), backtrail.step("sweep", retries=1):
        pass
    with pytest.raises(TypeError, match="a block runs once"):
        async with backtrail.step("sweep", retries=1):
            pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retries": -1}, "0 or more, not -1"),
        ({"retries": True}, "not True"),
        ({"retries": 1, "backoff": -0.5}, "backoff is seconds"),
        ({"retries": 1, "backoff": float("nan")}, "backoff is seconds"),
        ({"retries": 1, "backoff": "1s"}, "backoff is seconds"),
        ({"retries": 1, "retry_on": int}, "retry_on is an exception class"),
        ({"retries": 1, "retry_on": (ValueError, "x")}, "retry_on is an exception class"),
        ({"retries": 1, "retry_on": None}, "retry_on is an exception class"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_decoration(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        backtrail.step(**options)
