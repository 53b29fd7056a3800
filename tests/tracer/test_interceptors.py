"""Interceptors: asked before and after every run, agent and step, and their no is final."""

import asyncio
import contextvars
import copy
import json
import multiprocessing
import pickle
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

import backtrail
from backtrail import (
    InterceptContext,
    InterceptedError,
    Interceptor,
    InterceptResult,
    Phase,
    RunContext,
    StepContext,
    StepKind,
    semconv,
)
from backtrail._payloads.codec import encode
from backtrail._payloads.recorded_errors import decode_error, encode_error
from backtrail._processes.sent import Sender
from backtrail._runs.scope import current_position
from backtrail._runs.steps import StepPlan
from backtrail.instrument._client_call import ClientCall, call_as_step
from backtrail.testing import CapturedSpans, capture_spans
from tests.tracer.test_recording import attributes


@dataclass
class UserContext(RunContext):
    user_id: str = ""
    permissions: list[str] = field(default_factory=list)

    def has_permission(self, permission: str) -> bool:
        return permission in self.permissions


class Permissions(Interceptor):
    """The first seed document's interceptor."""

    async def intercept(self, phase: Phase, context: InterceptContext) -> InterceptResult:
        if not context.run_context.has_permission("use_agent"):
            return InterceptResult.stop("Permission denied")
        return InterceptResult.continue_()


class Recording(Interceptor):
    """Notes what it is asked, and answers what it is told to."""

    def __init__(self, name: str = "", answers: dict[str, Any] | None = None) -> None:
        self.name = name
        self.answers = answers or {}
        self.seen: list[InterceptContext] = []

    def intercept(self, phase: Phase, context: InterceptContext) -> InterceptResult | None:
        assert phase is context.phase
        self.seen.append(context)
        answer = self.answers.get(f"{phase} {context.name}")
        if isinstance(answer, Exception):
            raise answer
        return answer if not isinstance(answer, str) else InterceptResult.stop(answer)

    @property
    def asked(self) -> list[str]:
        return [f"{context.phase} {context.name}" for context in self.seen]


class Waiting(Interceptor):
    async def intercept(self, phase: Phase, context: InterceptContext) -> None:
        await asyncio.sleep(0.001)


def program(*interceptors: Interceptor) -> Callable[..., str]:
    @backtrail.step(kind=StepKind.TOOL_CALL)
    def look_up(order_id: str, ctx: RunContext, limit: int = 3) -> str:
        return f"found {order_id}"

    @backtrail.agent(name="clerk")
    def serve(question: str) -> str:
        return look_up("A-1")

    @backtrail.run(name="desk", interceptors=interceptors)
    def handle(query: str) -> str:
        return serve(query)

    return handle


ALL_PHASES = [
    "before_run desk",
    "before_agent clerk",
    "before_step look_up",
    "after_step look_up",
    "after_agent clerk",
    "after_run desk",
]


def test_everything_in_a_run_is_told_with_what_went_in_and_what_came_of_it(spans: CapturedSpans) -> None:
    recording = Recording()

    assert program(recording)("where?") == "found A-1"

    assert recording.asked == ALL_PHASES
    before_run, before_agent, before_step, after_step, _, after_run = recording.seen
    assert [context.kind for context in recording.seen] == ["run", "agent", "step", "step", "agent", "run"]
    assert (dict(before_run.inputs), before_run.run_context.query) == ({"query": "where?"}, "where?")
    assert (before_run.agent_context, before_run.step_context) == (None, None)
    assert before_agent.agent_context is not None
    assert before_agent.agent_context.name == "clerk"
    assert dict(before_step.inputs) == {"order_id": "A-1"}
    assert before_step.step_context is not None
    assert (before_step.step_context.name, before_step.step_kind) == ("look_up", StepKind.TOOL_CALL)
    assert (after_step.result, after_step.error, after_run.result) == ("found A-1", None, "found A-1")


def test_the_seeds_permission_interceptor_sees_the_users_own_context(spans: CapturedSpans) -> None:
    handle = program(Permissions())
    allowed = UserContext(user_id="1", permissions=["use_agent"])

    assert handle("where?", context=allowed) == "found A-1"
    with pytest.raises(InterceptedError, match=r"Permission denied \(Permissions, before run\)") as stop:
        handle("where?", context=UserContext(user_id="2"))

    error = stop.value
    assert (error.reason, error.phase, error.interceptor) == ("Permission denied", Phase.BEFORE_RUN, "Permissions")


def test_run_context_is_the_one_that_the_program_sees(spans: CapturedSpans) -> None:
    recording = Recording()

    @backtrail.run(interceptors=[recording])
    def handle(query: str, ctx: RunContext) -> RunContext:
        return ctx

    ctx = handle("where?", context=UserContext(user_id="7"))

    assert [seen.run_context for seen in recording.seen] == [ctx, ctx]
    assert (ctx.query, recording.seen[0].run_context is ctx) == ("where?", True)


def test_a_stopped_run_does_nothing_and_its_span_says_who_stopped_it_and_why(spans: CapturedSpans) -> None:
    with pytest.raises(InterceptedError):
        program(Recording(answers={"before_run desk": "closed on Sundays"}))("where?")

    (run,) = [span for span in spans if span.name == "desk"]
    assert spans.of_kind("agent") == spans.of_kind("step") == []
    found = attributes(run)
    assert found[semconv.RUN_STATUS] == "failed"
    assert found[semconv.ERROR_TYPE] == "backtrail.errors.InterceptedError"
    assert found[semconv.INTERCEPTED_BY] == "Recording"
    assert found[semconv.INTERCEPTED_PHASE] == "before_run"
    assert found[semconv.INTERCEPTED_REASON] == "closed on Sundays"
    assert run.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize("phase", ALL_PHASES)
def test_a_stop_at_any_point_reaches_the_caller_and_is_on_the_span_it_stopped(spans: CapturedSpans, phase: str) -> None:
    with pytest.raises(InterceptedError, match="not now") as stop:
        program(Recording(answers={phase: "not now"}))("where?")

    when, name = phase.split()
    stopped = [span for span in spans if semconv.INTERCEPTED_PHASE in attributes(span)]
    assert [(span.name.split()[-1], attributes(span)[semconv.INTERCEPTED_PHASE]) for span in stopped] == [(name, when)]
    assert stop.value.phase == when
    statuses = (semconv.RUN_STATUS, semconv.AGENT_STATUS, semconv.STEP_STATUS)
    assert "failed" in [attributes(stopped[0]).get(status) for status in statuses]


def test_a_result_that_is_kept_back_is_not_recorded(spans: CapturedSpans) -> None:
    with pytest.raises(InterceptedError):
        program(Recording(answers={"after_step look_up": "a secret"}))("where?")

    step = attributes(spans.named("execute_tool look_up"))
    assert semconv.STEP_RESULT not in step
    assert json.loads(step[semconv.STEP_ERROR])["attrs"]["reason"] == "a secret"


def test_what_failed_is_told_after_it_and_goes_on_to_its_caller(spans: CapturedSpans) -> None:
    recording = Recording()

    @backtrail.step
    def fails() -> None:
        raise ValueError("no")

    @backtrail.run(interceptors=[recording])
    def handle() -> str:
        with pytest.raises(ValueError, match="no"):
            fails()
        return "handled"

    assert handle() == "handled"
    after_step = recording.seen[2]
    assert (after_step.phase, after_step.result, str(after_step.error)) == (Phase.AFTER_STEP, None, "no")


def test_interceptors_hold_for_everything_inside_from_the_outside_in(spans: CapturedSpans) -> None:
    order: list[str] = []

    class Named(Interceptor):
        def __init__(self, name: str) -> None:
            self.name = name

        def intercept(self, phase: Phase, context: InterceptContext) -> None:
            order.append(f"{self.name}: {phase} {context.name}")

    @backtrail.step
    def work() -> None: ...

    @backtrail.agent(interceptors=[Named("inner")])
    def helper() -> None:
        work()

    @backtrail.run(interceptors=[Named("outer")])
    def handle() -> None:
        work()
        helper()

    handle()

    assert order == [
        "outer: before_run handle",
        "outer: before_step work",
        "outer: after_step work",
        "outer: before_agent helper",
        "inner: before_agent helper",
        "outer: before_step work",
        "inner: before_step work",
        "inner: after_step work",
        "outer: after_step work",
        "inner: after_agent helper",
        "outer: after_agent helper",
        "outer: after_run handle",
    ]


def test_each_that_let_a_call_begin_is_told_that_another_stopped_it(spans: CapturedSpans) -> None:
    outer, stopping, inner = Recording(), Recording(answers={"before_step work": "no"}), Recording()

    @backtrail.step
    def work() -> None: ...

    @backtrail.run(interceptors=[outer, stopping, inner])
    def handle() -> None:
        with pytest.raises(InterceptedError):
            work()

    handle()

    assert isinstance(outer.seen[2].error, InterceptedError)
    assert outer.asked == ["before_run handle", "before_step work", "after_step work", "after_run handle"]
    assert inner.asked == ["before_run handle", "after_run handle"]


def test_configured_interceptors_hold_for_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    recording = Recording()
    backtrail.configure(interceptors=[recording])
    try:
        with capture_spans():
            program()("where?")
        assert backtrail.configure(interceptors=[recording]) is backtrail.get_current_client()
    finally:
        backtrail.shutdown()

    assert recording.asked == ALL_PHASES


def test_an_agent_called_by_itself_is_a_run_and_is_asked_for_as_one(spans: CapturedSpans) -> None:
    recording = Recording()

    @backtrail.agent(interceptors=[recording])
    def helper() -> str:
        return "helped"

    assert helper() == "helped"
    assert recording.asked == ["before_agent helper", "after_agent helper"]


async def test_async_interceptors_may_wait_around_async_code(spans: CapturedSpans) -> None:
    @backtrail.step
    async def work(number: int) -> int:
        await asyncio.sleep(0)
        return number

    @backtrail.run(interceptors=[Waiting(), Permissions()])
    async def handle() -> list[int]:
        return list(await asyncio.gather(*map(work, range(5))))

    assert await handle(context=UserContext(permissions=["use_agent"])) == [0, 1, 2, 3, 4]
    with pytest.raises(InterceptedError):
        await handle(context=UserContext())


def test_around_code_that_is_not_async_waiting_is_an_error_that_says_so(spans: CapturedSpans) -> None:
    ran: list[str] = []

    @backtrail.run(interceptors=[Waiting()])
    def handle() -> None:
        ran.append("body")

    with pytest.raises(TypeError, match="Waiting waits for something, but the run 'handle' is not async"):
        handle()
    assert ran == []


async def test_the_same_within_a_running_loop(spans: CapturedSpans) -> None:
    @backtrail.step
    def work() -> None: ...

    @backtrail.run(interceptors=[Waiting()])
    async def handle() -> None:
        work()

    with pytest.raises(TypeError, match="the step 'work' is not async"):
        await handle()


def test_an_interceptor_that_raises_closes_the_door(spans: CapturedSpans) -> None:
    with pytest.raises(ConnectionError, match="no policy server"):
        program(Recording(answers={"before_step look_up": ConnectionError("no policy server")}))("where?")

    step = attributes(spans.named("execute_tool look_up"))
    assert (step[semconv.STEP_STATUS], step[semconv.ERROR_TYPE]) == ("failed", "ConnectionError")
    assert semconv.INTERCEPTED_BY not in step


@pytest.mark.parametrize("answer", [True, False, {"stop": True}, InterceptResult])
def test_an_answer_that_is_none_is_an_error(spans: CapturedSpans, answer: Any) -> None:
    with pytest.raises(TypeError, match="which is no InterceptResult"):
        program(Recording(answers={"before_run desk": answer}))("where?")


@pytest.mark.parametrize("thing", [Permissions, "Permissions", lambda phase, context: None])
def test_what_is_no_interceptor_is_refused_where_it_is_named(thing: Any) -> None:
    for registering in (
        lambda: backtrail.run(interceptors=[thing]),
        lambda: backtrail.agent(interceptors=[thing]),
        lambda: backtrail.configure(interceptors=[thing]),
    ):
        with pytest.raises(TypeError, match=r"an object of a subclass of backtrail\.Interceptor"):
            registering()


def test_what_an_interceptor_calls_is_recorded_and_not_intercepted(spans: CapturedSpans) -> None:
    @backtrail.step
    def moderate(text: str) -> bool:
        return "forbidden" not in text

    class Moderation(Interceptor):
        def intercept(self, phase: Phase, context: InterceptContext) -> InterceptResult | None:
            if phase is Phase.BEFORE_STEP and not moderate(context.inputs["text"]):
                return InterceptResult.stop("forbidden words")
            return None

    @backtrail.step
    def say(text: str) -> str:
        return text

    @backtrail.run(interceptors=[Moderation()])
    def handle() -> str:
        with pytest.raises(InterceptedError, match="forbidden words"):
            say("forbidden")
        return say("hello")

    assert handle() == "hello"
    say_key = [attributes(span)[semconv.STEP_KEY] for span in spans if span.name == "say"]
    scopes = [attributes(span)[semconv.STEP_SCOPE] for span in spans if span.name == "moderate"]
    assert scopes == [f'[["step","{key}"]]' for key in say_key]


def test_retries_are_one_call_to_interceptors_and_a_stop_is_not_retried(spans: CapturedSpans) -> None:
    recording = Recording()

    @backtrail.step(retries=2, backoff=0)
    def fetch(this: StepContext) -> str:
        if this.attempt < 3:
            raise ConnectionError
        return guarded()

    @backtrail.agent(interceptors=[Recording(answers={"before_agent guarded": "no"})])
    def guarded() -> str:
        return ""

    @backtrail.run(interceptors=[recording])
    def handle() -> None:
        with pytest.raises(InterceptedError):
            fetch()

    handle()

    assert recording.asked.count("before_step fetch") == recording.asked.count("after_step fetch") == 1
    assert [attributes(span).get(semconv.ATTEMPT_GAVE_UP) for span in spans.of_kind("attempt")][2] == "not_retryable"


def test_a_generator_is_asked_for_at_its_first_item_and_told_of_at_its_end(spans: CapturedSpans) -> None:
    recording = Recording()

    @backtrail.step
    def count(most: int) -> Generator[int, None, str]:
        yield from range(most)
        return "counted"

    @backtrail.run(interceptors=[recording])
    def handle() -> list[int]:
        numbers = count(2)
        assert recording.asked == ["before_run handle"]
        return list(numbers)

    assert handle() == [0, 1]
    assert recording.asked == ["before_run handle", "before_step count", "after_step count", "after_run handle"]
    assert (dict(recording.seen[1].inputs), recording.seen[2].result) == ({"most": 2}, "counted")


async def test_an_async_generator_is_stopped_before_its_first_item(spans: CapturedSpans) -> None:
    recording = Recording(answers={"before_step count": "no"})

    @backtrail.step
    async def count(most: int) -> AsyncIterator[int]:
        raise AssertionError("the body ran")
        yield most

    @backtrail.run(interceptors=[Waiting(), recording])
    async def handle() -> None:
        with pytest.raises(InterceptedError, match="no"):
            async for _ in count(2):
                pass

    await handle()
    assert attributes(spans.named("count"))[semconv.STEP_STATUS] == "failed"


async def test_what_is_sent_and_thrown_into_an_async_generator_still_arrives(spans: CapturedSpans) -> None:
    recording = Recording()

    @backtrail.step
    async def echo() -> AsyncGenerator[str, str]:
        said = ""
        while said != "stop":
            try:
                said = yield said
            except ValueError as error:
                said = f"caught {error}"
        raise LookupError("the end")

    @backtrail.run(interceptors=[Waiting(), recording])
    async def handle() -> list[str]:
        talk = echo()
        heard = [await anext(talk), await talk.asend("hello"), await talk.athrow(ValueError("x"))]
        with pytest.raises(LookupError):
            await talk.asend("stop")
        closed = echo()
        await anext(closed)
        await closed.aclose()
        return heard

    assert await handle() == ["", "hello", "caught x"]
    assert [str(seen.error) for seen in recording.seen if seen.phase is Phase.AFTER_STEP] == ["the end"]
    assert [attributes(span)[semconv.STEP_STATUS] for span in spans.of_kind("step")] == ["failed", "completed"]


@pytest.mark.parametrize("capture", ["all", "none"])
def test_a_function_that_returns_a_stream_is_asked_for_when_it_is_called(spans: CapturedSpans, capture: Any) -> None:
    recording = Recording(answers={"before_step count 3": "no"})

    @backtrail.step("count 3", stream=True, capture=capture)
    def count() -> Iterator[int]:
        return iter(range(3))

    @backtrail.step(capture=capture)
    def generate() -> Iterator[int]:
        yield 1

    @backtrail.run(interceptors=[recording])
    def handle() -> list[int]:
        with pytest.raises(InterceptedError):
            count()
        return list(generate())

    assert handle() == [1]
    assert recording.asked.count("after_step generate") == 1


async def test_a_cancellation_is_told_to_nobody(spans: CapturedSpans) -> None:
    recording = Recording(answers={"after_step work": "never asked"})

    @backtrail.step
    async def work() -> None:
        await asyncio.sleep(60)

    @backtrail.run(interceptors=[recording])
    async def handle() -> str:
        try:
            await asyncio.wait_for(work(), 0.01)
        except TimeoutError:
            return "timed out"
        return ""

    assert await handle() == "timed out"
    assert "after_step work" not in recording.asked


def test_a_stop_comes_out_of_with_and_the_block_is_closed(spans: CapturedSpans) -> None:
    recording = Recording(answers={"before_step sweep": "wet floor"})
    ran: list[str] = []

    with backtrail.run("nightly", interceptors=[recording], input={"room": 7}), backtrail.agent("cleaner"):
        with pytest.raises(InterceptedError, match="wet floor"), backtrail.step("sweep", input="room 7"):
            ran.append("body")
        with backtrail.step("dust") as this:
            this.complete("dusted")

    assert ran == []
    assert recording.asked[2:4] == ["before_step sweep", "before_step dust"]
    assert (dict(recording.seen[0].inputs), dict(recording.seen[2].inputs)) == ({"room": 7}, {"input": "room 7"})
    assert recording.seen[4].result == "dusted"
    sweep = attributes(spans.named("sweep"))
    assert (sweep[semconv.STEP_STATUS], sweep[semconv.INTERCEPTED_REASON]) == ("failed", "wet floor")
    assert attributes(spans.named("nightly"))[semconv.RUN_STATUS] == "completed"


@pytest.mark.parametrize("when", ["before_run", "before_agent", "after_agent", "after_run"])
async def test_async_blocks_are_asked_for_and_stopped_alike(spans: CapturedSpans, when: str) -> None:
    stopping = Recording(answers={f"{when} nightly": "no", f"{when} cleaner": "no"})

    async def clean() -> None:
        async with backtrail.run("nightly", interceptors=[Waiting(), stopping]), backtrail.agent("cleaner") as me:
            me.complete("clean")

    with pytest.raises(InterceptedError, match="no"):
        await clean()
    run = attributes(spans.named("nightly"))
    assert (run[semconv.RUN_STATUS], backtrail.has_active_run()) == ("failed", False)


def test_an_error_in_a_block_is_told_and_may_be_replaced_by_a_stop(spans: CapturedSpans) -> None:
    recording = Recording(answers={"after_step sweep": "hushed up"})

    def sweep() -> None:
        with backtrail.run("nightly", interceptors=[recording]), backtrail.step("sweep"):
            raise ValueError("dirt")

    with pytest.raises(InterceptedError, match="hushed up") as stop:
        sweep()
    assert isinstance(stop.value.__context__, ValueError)
    assert str(recording.seen[2].error) == "dirt"


async def test_a_step_started_by_hand_is_asked_for_as_a_block(spans: CapturedSpans) -> None:
    recording = Recording(answers={"before_step fetch": "no"})

    @backtrail.run(interceptors=[recording])
    async def handle(ctx: RunContext) -> None:
        with pytest.raises(InterceptedError):
            async with ctx.agent.start_step("fetch"):
                raise AssertionError("the body ran")

    await handle()

    assert attributes(spans.named("fetch"))[semconv.STEP_STATUS] == "failed"


def test_a_recording_that_fails_is_no_way_around_interceptors() -> None:
    recording = Recording(answers={"before_step work": "no"})
    ran: list[str] = []

    def key(**inputs: Any) -> str:
        raise LookupError("no key for this input")

    @backtrail.step(key=key)
    def work(text: str) -> None:
        ran.append(text)

    @backtrail.run(interceptors=[recording])
    def handle() -> None:
        with pytest.raises(InterceptedError):
            work("x")

    with capture_spans(strict=False):
        handle()
    assert ran == []


def test_a_step_that_is_not_to_be_recorded_is_asked_for_all_the_same(spans: CapturedSpans) -> None:
    recording = Recording(answers={"before_step confess": "not here", "before_step whisper": "not here"})

    @backtrail.step(capture="none")
    def confess(what: str) -> None:
        raise AssertionError("the body ran")

    @backtrail.run(interceptors=[recording])
    def handle() -> None:
        with pytest.raises(InterceptedError):
            confess("all")
        with pytest.raises(InterceptedError), backtrail.step("whisper", capture="none"):
            raise AssertionError("the block ran")

    handle()

    assert dict(recording.seen[1].inputs) == {"what": "all"}
    assert spans.of_kind("step") == []


def test_the_reason_of_a_stop_stays_away_where_words_do() -> None:
    with capture_spans(capture="metadata") as spans, pytest.raises(InterceptedError):
        program(Recording(answers={"before_step look_up": "the patient's name"}))("where?")

    assert "patient" not in "".join(span.to_json() for span in spans)


def test_the_call_of_an_instrumented_client_is_told_with_its_own_inputs(spans: CapturedSpans) -> None:
    class Chat(ClientCall[str]):
        plan = StepPlan("chat", StepKind.LLM_CALL)

        def __init__(self, prompt: str) -> None:
            super().__init__()
            self.inputs = {"prompt": prompt}

        def send(self) -> str:
            return "hello"

        def recorded(self, answer: str) -> str:
            return answer

    recording = Recording(answers={"before_step chat": "no models today"})

    @backtrail.run(interceptors=[recording])
    def handle() -> None:
        with pytest.raises(InterceptedError):
            call_as_step(Chat("hi"))

    handle()

    assert (dict(recording.seen[1].inputs), recording.seen[1].step_kind) == ({"prompt": "hi"}, StepKind.LLM_CALL)


def test_outside_a_run_a_step_is_an_ordinary_call(spans: CapturedSpans) -> None:
    @backtrail.step
    def work() -> str:
        return "done"

    assert work() == "done"


def test_a_nested_run_is_inside_too(spans: CapturedSpans) -> None:
    recording = Recording()

    @backtrail.run
    def inner() -> None: ...

    @backtrail.run(interceptors=[recording])
    def outer() -> None:
        inner()

    outer()

    assert recording.asked == ["before_run outer", "before_run inner", "after_run inner", "after_run outer"]


def test_a_run_that_another_process_called_is_asked_for_as_a_run(spans: CapturedSpans) -> None:
    handle = program(Recording(answers={"before_run desk": "not from outside"}))

    @backtrail.run
    def caller() -> dict[str, str]:
        return backtrail.inject({})

    with backtrail.extract(caller()), pytest.raises(InterceptedError, match="not from outside"):
        handle("where?")


@backtrail.step
def work_elsewhere() -> str:
    return "done elsewhere"


class NoSteps(Interceptor):
    def intercept(self, phase: Phase, context: InterceptContext) -> InterceptResult | None:
        return InterceptResult.stop("no steps") if phase is Phase.BEFORE_STEP else None


def test_interceptors_hold_in_a_process_the_run_goes_on_in() -> None:
    @backtrail.run(interceptors=[NoSteps()])
    def handle() -> str:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return pool.submit(work_elsewhere).result()

    with capture_spans(), pytest.raises(InterceptedError, match="no steps"):
        handle()


def test_one_that_cannot_go_along_lets_nothing_go_on_there(spans: CapturedSpans) -> None:
    class Local(Interceptor):
        def intercept(self, phase: Phase, context: InterceptContext) -> None: ...

    @backtrail.run(interceptors=[Local()])
    def handle() -> str:
        position = current_position.get()
        assert position is not None
        sent = pickle.loads(pickle.dumps(Sender(position).send(work_elsewhere)))
        return str(contextvars.Context().run(sent))

    with pytest.raises(InterceptedError, match="cannot be asked in another process"):
        handle()


def test_a_stop_comes_back_from_a_recording_and_from_another_process_as_what_it_was() -> None:
    error = InterceptedError("no", phase=Phase.BEFORE_STEP, interceptor="Permissions")

    for again in (
        decode_error(encode_error(error, lambda value: encode(value).json)),
        pickle.loads(pickle.dumps(error)),
        copy.copy(error),
    ):
        assert isinstance(again, InterceptedError)
        assert (again.reason, again.phase, again.interceptor) == ("no", "before_step", "Permissions")
        assert str(again) == "no (Permissions, before step)"


def test_the_names_are_the_same_in_their_own_module() -> None:
    from backtrail import interceptors

    assert [getattr(backtrail, name) for name in interceptors.__all__] == [
        getattr(interceptors, name) for name in interceptors.__all__
    ]
