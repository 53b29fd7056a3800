"""What a run, an agent and a step leave behind: the whole span, attribute by attribute."""

import asyncio
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

import backtrail
from backtrail import AgentContext, RunContext, StepContext, StepKind, semconv
from backtrail.canonical import H
from backtrail.testing import FIRST_NANOSECOND, capture_spans

TRACE_ID = f"{1:032x}"
SECOND = 1_000_000_000


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def ids(span: ReadableSpan) -> tuple[int, int | None]:
    assert span.context is not None
    return span.context.span_id, span.parent.span_id if span.parent else None


def seconds(span: ReadableSpan) -> tuple[int, int]:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.start_time - FIRST_NANOSECOND) // SECOND, (span.end_time - FIRST_NANOSECOND) // SECOND


@backtrail.step(kind=StepKind.TOOL_CALL)
def lookup(order_id: str, limit: int = 3) -> dict[str, str]:
    return {"order": order_id}


@backtrail.agent(name="clerk", config_id="c-1", metadata={"model": "m"})
def serve(question: str) -> str:
    return lookup("A-1")["order"]


@backtrail.run(name="desk")
def handle(query: str) -> str:
    return serve(query.upper())


LINEAGE = {"backtrail.query": "where is it?", "backtrail.task.id": TRACE_ID, "backtrail.depth": 0}
AGENT_KEY = H(["1", "agent", [["clerk", 0]], []])[:32]
INPUT_HASH = H({"order_id": "A-1"})


def test_a_step_is_told_by_one_whole_span() -> None:
    with capture_spans() as spans:
        assert handle("where is it?") == "A-1"

    step = spans.named("execute_tool lookup")
    assert (ids(step), seconds(step), step.kind) == ((6, 4), (3, 4), SpanKind.INTERNAL)
    assert (step.status.status_code, list(step.events), list(step.links)) == (StatusCode.UNSET, [], [])
    found = attributes(step)
    assert len(found.pop("backtrail.step.code_hash")) == 64
    assert found == {
        **LINEAGE,
        "backtrail.agent.key": AGENT_KEY,
        "backtrail.agent.path": '[["clerk",0]]',
        "gen_ai.agent.name": "clerk",
        "backtrail.kind": "step",
        "backtrail.process": "00000001",
        "backtrail.number": 2,
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "lookup",
        "backtrail.step.key": H(["1", "step", AGENT_KEY, [], "lookup", None, ["input", INPUT_HASH], 0])[:32],
        "backtrail.step.loose_key": H(["1", "loose", "clerk", "lookup", INPUT_HASH])[:32],
        "backtrail.step.name": "lookup",
        "backtrail.step.kind": "tool",
        "backtrail.step.scope": "[]",
        "backtrail.step.occurrence": 0,
        "backtrail.step.hash_alg": "sorted-json-sha256/1",
        "backtrail.step.input_hash": INPUT_HASH,
        "backtrail.step.input": '{"order_id":"A-1"}',
        "backtrail.step.result": '{"order":"A-1"}',
        "backtrail.step.status": "completed",
        "backtrail.step.replayable": True,
        "backtrail.step.side_effect": "none",
        "backtrail.step.seq_start": 2,
        "backtrail.step.seq_end": 3,
        "backtrail.step.end_batch": 0,
        "backtrail.digests": attributes(step)["backtrail.digests"],
    }


def test_an_agent_is_told_by_one_whole_span() -> None:
    with capture_spans() as spans:
        handle("where is it?")

    agent = spans.named("invoke_agent clerk")
    found = attributes(agent)
    assert (ids(agent), seconds(agent)) == ((4, 1), (2, 5))
    assert found == {
        **LINEAGE,
        "backtrail.agent.key": AGENT_KEY,
        "backtrail.agent.path": '[["clerk",0]]',
        "gen_ai.agent.name": "clerk",
        "gen_ai.operation.name": "invoke_agent",
        "backtrail.kind": "agent",
        "backtrail.process": "00000001",
        "backtrail.number": 3,
        "backtrail.agent.name": "clerk",
        "backtrail.agent.config_id": "c-1",
        "backtrail.agent.metadata": '{"model":"m"}',
        "backtrail.agent.is_default": False,
        "backtrail.agent.depth": 0,
        "backtrail.agent.input": '{"question":"WHERE IS IT?"}',
        "backtrail.agent.result": '"A-1"',
        "backtrail.agent.status": "completed",
        "backtrail.agent.seq_start": 1,
        "backtrail.agent.seq_end": 4,
        "backtrail.digests": found["backtrail.digests"],
    }


def test_a_run_is_told_by_one_whole_span() -> None:
    with capture_spans() as spans:
        handle("where is it?")

    run = spans.named("desk")
    found = attributes(run)
    assert len(found.pop("backtrail.run.entry_code_hash")) == 64
    assert (ids(run), seconds(run)) == ((1, None), (0, 7))
    assert found == {
        **LINEAGE,
        "backtrail.kind": "run",
        "backtrail.process": "00000001",
        "backtrail.number": 5,
        "backtrail.run.redaction": "private_key,bearer,jwt,api_key,email,card,field",
        "backtrail.wire": 1,
        "backtrail.sdk.version": backtrail.__version__,
        "backtrail.python": found["backtrail.python"],
        "backtrail.run.name": "desk",
        "backtrail.run.entrypoint": f"{__name__}:handle",
        "backtrail.run.lineage_id": TRACE_ID,
        "backtrail.run.input": '{"query":"where is it?"}',
        "backtrail.run.input_hash": found["backtrail.run.input_hash"],
        "backtrail.run.context": (
            '{"type":"backtrail._contexts.run_context:RunContext",'
            '"fields":{"query":"where is it?","metadata":{}},"opaque":[]}'
        ),
        "backtrail.run.context_hash": found["backtrail.run.context_hash"],
        "backtrail.run.result": '"A-1"',
        "backtrail.run.status": "completed",
        "backtrail.run.state_root": "0" * 64,
        "backtrail.run.seq_max": 6,
        "backtrail.run.number_max": 5,
        "backtrail.run.step_count": 1,
        "backtrail.digests": found["backtrail.digests"],
    }


def test_runs_and_agents_send_a_pending_row_at_their_start() -> None:
    with capture_spans() as spans:
        handle("where is it?")

    run, agent = spans.pending
    assert [span.name for span in spans.pending] == ["desk", "invoke_agent clerk"]
    assert (attributes(run)["backtrail.pending.of"], attributes(agent)["backtrail.pending.of"]) == (
        f"{1:016x}",
        f"{4:016x}",
    )
    assert (attributes(run)["backtrail.pending.parent"], attributes(agent)["backtrail.pending.parent"]) == (
        "0" * 16,
        f"{1:016x}",
    )
    assert attributes(agent)["backtrail.pending.kind"] == "agent"
    assert attributes(agent)["backtrail.kind"] == "pending"
    assert attributes(agent)["backtrail.agent.input"] == '{"question":"WHERE IS IT?"}'
    assert agent.start_time == agent.end_time == spans.named("invoke_agent clerk").start_time
    assert ids(agent)[1] == 4
    assert "backtrail.number" not in attributes(agent)


def test_an_error_is_recorded_and_passes_untouched() -> None:
    error = TimeoutError("too slow")

    @backtrail.step
    def fetch() -> None:
        raise error

    @backtrail.agent
    def work() -> None:
        try:
            fetch()
        except TimeoutError as caught:
            raise RuntimeError("gave up") from caught

    @backtrail.run
    def main() -> None:
        work()

    with capture_spans() as spans, pytest.raises(RuntimeError, match="gave up") as raised:
        main()

    step, run = spans.named("fetch"), spans.named("main")
    assert raised.value.__cause__ is error
    assert attributes(step)["backtrail.step.status"] == "failed"
    assert attributes(step)["error.type"] == "TimeoutError"
    assert '"message":"too slow"' in attributes(step)["backtrail.step.error"]
    assert (step.status.status_code, step.status.description) == (StatusCode.ERROR, "TimeoutError: too slow")
    assert [event.name for event in step.events] == ["exception"]
    assert attributes(run)["backtrail.run.status"] == "failed"
    assert attributes(run)["backtrail.run.failed_step_key"] == attributes(step)["backtrail.step.key"]


async def test_a_cancelled_step_says_so() -> None:
    @backtrail.step
    async def wait() -> None:
        await asyncio.sleep(60)

    @backtrail.run
    async def main() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with capture_spans() as spans:
        await main()

    assert attributes(spans.named("wait"))["backtrail.step.status"] == "cancelled"


def test_a_run_is_the_root_of_its_trace_and_links_its_caller() -> None:
    caller = trace.SpanContext(77, 7, is_remote=False, trace_flags=trace.TraceFlags(1))

    with capture_spans() as spans, trace.use_span(trace.NonRecordingSpan(caller)):
        handle("x")

    run = spans.named("desk")
    (link,) = run.links
    assert run.parent is None
    assert (link.context.trace_id, dict(link.attributes or {})) == (77, {"backtrail.link": "caller"})


def test_a_delegated_agent_gets_a_task_of_its_own_under_the_callers() -> None:
    @backtrail.agent
    def inner() -> None:
        lookup("x")

    @backtrail.agent
    def outer() -> None:
        inner()

    @backtrail.run
    def main(query: str) -> None:
        outer()

    with capture_spans() as spans:
        main("help")

    found = attributes(spans.named("execute_tool lookup"))
    assert found["backtrail.query"] == "help"
    assert found["backtrail.depth"] == 1
    assert found["backtrail.task.parent_id"] == TRACE_ID
    assert list(found["backtrail.task.chain"]) == [TRACE_ID]
    assert found["backtrail.task.id"] != TRACE_ID
    assert found["backtrail.agent.path"] == '[["outer",0],["inner",0]]'


def test_blocks_record_as_decorators_do() -> None:
    with capture_spans() as spans, backtrail.run("nightly", query="tidy up", state={"n": 1}) as ctx:
        assert isinstance(ctx, RunContext)
        with backtrail.agent("janitor") as me, backtrail.step("sweep", kind="llm", input={"room": 7}) as this:
            assert (isinstance(me, AgentContext), isinstance(this, StepContext)) == (True, True)
            this.record_llm(provider="openai", request_model="gpt-4o", input_tokens=10, output_tokens=2)
            this.complete("clean", cost_usd=0.5)
        ctx.complete("done")

    step = attributes(spans.named("chat sweep"))
    assert (step["backtrail.step.input"], step["backtrail.step.result"]) == ('{"room":7}', '"clean"')
    assert (step["gen_ai.request.model"], step["gen_ai.usage.input_tokens"]) == ("gpt-4o", 10)
    assert step["backtrail.step.cost_usd"] == 0.5
    run = attributes(spans.named("nightly"))
    assert (run["backtrail.query"], run["backtrail.run.result"]) == ("tidy up", '"done"')


async def test_agents_and_steps_can_be_started_by_hand() -> None:
    @backtrail.run
    async def main(ctx: RunContext) -> float:
        researcher = await ctx.start_agent("researcher", agent_config_id="ac_1", metadata={"model": "m"})
        async with researcher:
            this = await researcher.start_step(name="call_llm", kind="llm", input_args=("hi",))
            await this.complete("answer", tokens_used=500, cost_usd=0.01)
        await ctx.complete("done")
        return ctx.totals.cost_usd

    with capture_spans() as spans:
        assert await main() == 0.01

    step = attributes(spans.named("chat call_llm"))
    assert step["backtrail.step.input"] == '{"args":["hi"],"kwargs":{}}'
    assert (step["backtrail.step.tokens"], step["gen_ai.agent.name"]) == (500, "researcher")
    assert attributes(spans.named("main"))["backtrail.run.result"] == '"done"'


def test_what_a_function_returns_is_its_result_whatever_was_said_by_hand() -> None:
    @backtrail.step
    def ask(this: StepContext) -> str:
        this.complete(tokens_used=12)
        return "answer"

    @backtrail.run
    def main() -> None:
        ask()

    with capture_spans() as spans:
        main()

    found = attributes(spans.named("ask"))
    assert (found["backtrail.step.result"], found["backtrail.step.tokens"]) == ('"answer"', 12)


async def test_agents_left_open_end_with_their_run() -> None:
    @backtrail.run
    async def main(ctx: RunContext) -> None:
        await ctx.start_agent("forgotten")

    with capture_spans() as spans:
        await main()

    assert attributes(spans.named("invoke_agent forgotten"))["backtrail.agent.status"] == "completed"


def test_steps_without_an_agent_belong_to_the_default_one() -> None:
    @backtrail.run
    def main() -> None:
        lookup("x")

    with capture_spans() as spans:
        main()

    agent, step = spans.named("invoke_agent default"), spans.named("execute_tool lookup")
    assert attributes(agent)["backtrail.agent.is_default"] is True
    assert ids(step)[1] == ids(agent)[0]


def test_an_agent_called_alone_is_a_run() -> None:
    with capture_spans() as spans:
        assert serve("q") == "A-1"

    assert [span.name for span in spans.of_kind("run")] == ["clerk"]
    assert [span.name for span in spans.of_kind("agent")] == ["invoke_agent clerk"]


def test_decorators_stack_on_coroutine_functions_and_an_agent_alone_is_a_run() -> None:
    @backtrail.agent
    async def alone(n: int) -> int:
        await asyncio.sleep(0)
        return n

    @backtrail.run
    @backtrail.agent(name="stacked")
    async def both(n: int) -> int:
        return await alone(n)

    with capture_spans() as spans:
        assert asyncio.run(alone(1)) == 1
        assert asyncio.run(both(2)) == 2

    results = [attributes(span)["backtrail.run.result"] for span in spans.of_kind("run")]
    names = [span.name for span in spans.of_kind("agent")]
    assert (results, names) == (["1", "2"], ["invoke_agent alone", "invoke_agent alone", "invoke_agent stacked"])


def test_a_step_called_alone_is_an_ordinary_call() -> None:
    with capture_spans() as spans:
        assert lookup("x") == {"order": "x"}
        with backtrail.step("outside") as this:
            this.record_llm(input_tokens=1)
            this.complete(1)
        with backtrail.agent("outside") as me:
            assert me.name == "outside"

    assert list(spans) == []


def test_a_result_nobody_can_rebuild_is_marked_when_it_is_recorded() -> None:
    @backtrail.step
    def connect() -> object:
        return object()

    @backtrail.step(capture=False)
    def secret() -> str:
        return "s3cret"

    @backtrail.step
    def large() -> str:
        return "x" * 200_000

    @backtrail.run
    def main() -> None:
        connect()
        secret()
        large()

    with capture_spans(strict=False, max_payload_bytes=100_000) as spans:
        main()

    reasons = {
        span.name: (attributes(span)["backtrail.step.replayable"], attributes(span)[semconv.STEP_UNREPLAYABLE_REASON])
        for span in spans.of_kind("step")
    }
    assert reasons == {"connect": (False, "opaque"), "secret": (False, "not_captured"), "large": (False, "too_large")}
    assert "backtrail.step.result" not in attributes(spans.named("secret"))
    assert attributes(spans.named("large"))["backtrail.step.result"].startswith(
        '{"$t":"truncated","v":{"bytes":200000,'
    )


def test_text_that_cannot_travel_is_mended_and_the_span_says_so() -> None:
    @backtrail.step
    def odd(text: str) -> str:
        raise ValueError(text)

    @backtrail.run(name="bad \ud800 name")
    def main(query: str) -> None:
        with pytest.raises(ValueError, match="x"):
            odd("x\udfff")

    with capture_spans() as spans:
        main("why \ud800?")

    run = spans.named("bad \ufffd name")
    assert attributes(run)["backtrail.query"] == "why \ufffd?"
    assert attributes(run)["backtrail.flagged"] == "invalid text"
    assert spans.named("odd").status.description == "ValueError: x\ufffd"


def test_the_wrapped_function_is_kept_and_frameworks_see_a_coroutine_function() -> None:
    import inspect

    @backtrail.step
    async def fetch() -> int:
        return 1

    assert asyncio.run(fetch.__wrapped__()) == 1
    assert asyncio.iscoroutinefunction(fetch) or inspect.iscoroutinefunction(fetch)
    assert fetch.__name__ == "fetch"


def test_time_ids_and_chance_are_recorded_in_a_run() -> None:
    @backtrail.run
    def main(ctx: RunContext) -> list[object]:
        return [ctx.now(), ctx.uuid(), ctx.random(), backtrail.now_utc(), backtrail.generate_id()]

    with capture_spans() as spans:
        main()

    effects = [attributes(span) for span in spans.of_kind("effect")]
    assert [(e["backtrail.effect.name"], e["backtrail.effect.occurrence"]) for e in effects] == [
        ("now", 0),
        ("uuid", 0),
        ("random", 0),
        ("now", 1),
        ("id", 0),
    ]


def test_numbers_have_no_holes_and_every_seq_is_somebodys() -> None:
    @backtrail.run
    async def main(ctx: RunContext) -> None:
        ctx.set_state("a", 1)
        await asyncio.gather(*(asyncio.to_thread(serve, "x") for _ in range(4)))
        await ctx.checkpoint("mid")

    with capture_spans() as spans:
        asyncio.run(main())

    numbers = sorted(attributes(span)["backtrail.number"] for span in spans)
    assert numbers == list(range(1, len(spans) + 1))
    assert attributes(spans.named("main"))["backtrail.run.number_max"] == len(spans)


def test_a_step_with_a_side_effect_is_known_before_its_body_runs() -> None:
    seen: list[list[str]] = []

    with capture_spans() as spans:

        @backtrail.step(side_effect="unsafe")
        def pay(this: StepContext) -> str:
            seen.append([span.name for span in spans.pending])
            return this.idempotency_key

        @backtrail.run
        def main() -> None:
            pay()

        main()

    assert seen == [["main", "invoke_agent default", "pay"]]
    step = attributes(spans.named("pay"))
    assert step["backtrail.step.result"] == f'"{step["backtrail.step.idempotency_key"]}"'


def test_a_thousand_tasks_keep_their_own_parents_and_results() -> None:
    @backtrail.step
    async def think(n: int) -> int:
        await asyncio.sleep(0)
        return n

    @backtrail.agent
    async def worker(n: int) -> int:
        first = await think(n)
        return first + await think(n)

    @backtrail.run
    async def main() -> list[int]:
        return await asyncio.gather(*(worker(n) for n in range(1_000)))

    with capture_spans() as spans:
        assert asyncio.run(main()) == [2 * n for n in range(1_000)]

    agents = {ids(span)[0]: attributes(span) for span in spans.of_kind("agent")}
    steps = spans.of_kind("step")
    assert len({attributes(step)["backtrail.step.key"] for step in steps}) == 2_000
    for step in steps:
        agent = agents[ids(step)[1] or 0]
        assert attributes(step)["backtrail.agent.key"] == agent["backtrail.agent.key"]
        assert agent["backtrail.agent.input"] == f'{{"n":{attributes(step)["backtrail.step.result"]}}}'


def test_callables_without_a_name_can_be_recorded() -> None:
    import functools

    class Search:
        def __call__(self, query: str) -> str:
            return query

    class Later:
        async def __call__(self, query: str) -> str:
            return query

    search, tail, later = backtrail.step(Search()), backtrail.step(functools.partial(max, 3)), backtrail.step(Later())

    @backtrail.run
    async def main() -> tuple[str, int, str]:
        return search("x"), tail(7), await later("y")

    with capture_spans() as spans:
        assert asyncio.run(main()) == ("x", 7, "y")
    assert [span.name for span in spans.of_kind("step")] == ["Search", "partial", "Later"]
