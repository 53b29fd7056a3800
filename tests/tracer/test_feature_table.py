"""The features of the systems Backtrail grew from, one test for each, in the order of the design's table.

A is the system of typed contexts, B the one of contexts that travel as text, C the one of runs, agents and steps.
Rows that need a server are in tests/e2e/test_feature_table.py.
"""

import asyncio
import json
import re
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import Any

import pytest

import backtrail
from backtrail import (
    AgentContext,
    InterceptContext,
    InterceptedError,
    InterceptResult,
    Phase,
    RunContext,
    StepContext,
    StepKind,
    ToolContext,
    get_current_agent_context,
    get_current_client,
    get_current_run_context,
    has_active_agent,
    has_active_client,
    has_active_run,
    semconv,
)
from backtrail.contexts import DelegationContext, RetryContext
from backtrail.testing import CapturedSpans, capture_spans

# The table's rows, by the system each comes from.
ROWS = {
    "a": (
        "dataclass subclass of RunContext, also frozen",
        "agent.run with task and context",
        "query filled on the first run and kept in delegation",
        "metadata, get and with_metadata",
        "agent is the one at work",
        "injected ctx, also with None as default",
        "interceptor context.run_context",
        "subagent propagation",
        "services on the context",
        "depth",
        "retry_count and is_retry",
        "generate_id and now_utc",
        "task_id, started_at and deadline",
        "tool.__wrapped__ in tests",
    ),
    "b": (
        "to_json and restore in another process",
        "tool_context.state",
        "tool_context context, usage and retries",
        "deep copy isolation",
        "conversation continuity and current_agent_name",
    ),
    "c": (
        "get_current_run_context, agent_context and client",
        "has_active_run, agent and client",
        "RunContext client, run, is_replaying and agents",
        "RunContext made from a client",
        "set_state and get_state on run and agent",
        "start_agent and async with",
        "complete and fail on run, agent and step",
        "AgentContext run_context, agent, is_default, is_replaying and steps",
        "start_step",
        "get_step_result",
        "StepContext complete with usage, agent_context and step",
        "checkpoint on run and agent",
        "restore_from_checkpoint and is_replaying",
        "CheckpointError on loading and ReplayError on decoding",
        "MultiRunClient and init_local",
    ),
}


def name_of_test(system: str, row: str) -> str:
    """`test_a_tool_wrapped_in_tests` for A's row "tool.__wrapped__ in tests"."""
    return "_".join(["test", system, *re.findall("[a-z0-9]+", re.sub("([a-z])([A-Z])", r"\1_\2", row).lower())])


def test_every_row_of_the_table_has_its_test() -> None:
    files = (Path(__file__), Path(__file__).parents[1] / "e2e" / Path(__file__).name)
    written = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}

    assert [row for system, rows in ROWS.items() for row in rows if name_of_test(system, row) not in written] == []


@dataclass
class UserContext(RunContext):
    user_id: str
    permissions: set[str] = field(default_factory=set)

    def may(self, permission: str) -> bool:
        return permission in self.permissions


@dataclass(frozen=True)
class TenantContext(RunContext):  # type: ignore[misc]
    tenant_id: str


def attributes(spans: CapturedSpans, name: str) -> dict[str, Any]:
    return dict(spans.named(name).attributes or {})


# --- A ------------------------------------------------------------------------------------------------------


def test_a_dataclass_subclass_of_run_context_also_frozen() -> None:
    @backtrail.tool
    def delete_file(name: str, ctx: UserContext) -> str:
        return f"deleted {name}" if ctx.may("delete") else "not allowed"

    @backtrail.tool
    def where(ctx: TenantContext) -> str:
        with pytest.raises(FrozenInstanceError):
            ctx.tenant_id = "other"  # type: ignore[misc]
        return ctx.tenant_id

    @backtrail.run
    def main(task: str) -> str:
        return delete_file("a.txt") if task == "delete" else where()

    given = UserContext("u1", permissions={"read"})
    with capture_spans():
        assert main("delete", context=given) == "not allowed"
        assert main("delete", context=UserContext("u2", permissions={"delete"})) == "deleted a.txt"
        assert main("where", context=TenantContext("acme")) == "acme"
    assert given == UserContext("u1", permissions={"read"})


async def test_a_agent_run_with_task_and_context() -> None:
    @backtrail.agent
    async def assistant(task: str, ctx: UserContext) -> str:
        return f"{task} for {ctx.user_id}"

    @backtrail.run
    async def main(task: str, ctx: UserContext) -> str:
        return await assistant(task)

    with capture_spans() as spans:
        assert await main("profile", context=UserContext("u1")) == "profile for u1"
        assert await assistant("profile", context=UserContext("u2")) == "profile for u2"

    assert [(span.attributes or {})[semconv.USER_ID] for span in spans.of_kind("run")] == ["u1", "u2"]


def test_a_query_filled_on_the_first_run_and_kept_in_delegation() -> None:
    @backtrail.agent
    def checker(task: str, ctx: UserContext) -> tuple[str, str]:
        return task, ctx.query

    @backtrail.agent
    def orchestrator(task: str, ctx: UserContext) -> Any:
        return checker("check permissions"), checker("again", context=UserContext("u2")), ctx.query

    @backtrail.run(query="words")
    def main(tenant: str, words: str) -> Any:
        return orchestrator(words)

    given = UserContext("u1")
    words = "Can I delete files?"
    with capture_spans() as spans:
        assert main("acme", words, context=given) == (("check permissions", words), ("again", words), words)

    assert given.query == ""
    lineage = [span for span in spans if (span.attributes or {}).get(semconv.KIND) in ("run", "agent")]
    assert {(span.attributes or {})[semconv.QUERY] for span in lineage} == {words}


def test_a_metadata_get_and_with_metadata() -> None:
    ctx = RunContext(metadata={"request_id": "r1"})

    more = ctx.with_metadata(version="1.0")

    assert (ctx.get("request_id"), ctx.metadata.get("request_id"), ctx.get("version", "none")) == ("r1", "r1", "none")
    assert (more.metadata, ctx.metadata) == ({"request_id": "r1", "version": "1.0"}, {"request_id": "r1"})
    assert TenantContext("acme").with_metadata(extra=1) == TenantContext("acme", metadata={"extra": 1})


def test_a_agent_is_the_one_at_work() -> None:
    @backtrail.step
    def who(ctx: RunContext) -> str:
        return ctx.agent.name

    @backtrail.agent(name="inner")
    def inner() -> str:
        return who()

    @backtrail.agent(name="outer")
    def outer() -> list[str]:
        return [who(), inner(), who()]

    @backtrail.run
    def main() -> tuple[str, list[str]]:
        return who(), outer()

    with capture_spans():
        assert main() == ("default", ["outer", "inner", "outer"])


def test_a_injected_ctx_also_with_none_as_default() -> None:
    @backtrail.tool
    def search(query: str, limit: int = 10, ctx: UserContext | None = None) -> str:
        return f"{query} {limit} {ctx.user_id if ctx else 'anybody'}"

    @backtrail.agent
    def agent(ctx: UserContext) -> list[str]:
        return [search("lamps"), search("lamps", 3), search("lamps", ctx=UserContext("u2"))]

    @backtrail.run
    def main(ctx: RunContext) -> list[str]:
        return agent()

    with capture_spans() as spans:
        assert main(context=UserContext("u1")) == ["lamps 10 u1", "lamps 3 u1", "lamps 10 u2"]
        assert search("lamps") == "lamps 10 anybody"

    first, _, third = spans.of_kind("step")
    assert (first.attributes or {})[semconv.STEP_INPUT] == '{"query":"lamps"}'
    assert (first.attributes or {})[semconv.STEP_INPUT_HASH] == (third.attributes or {})[semconv.STEP_INPUT_HASH]


def test_a_interceptor_context_run_context() -> None:
    class PermissionInterceptor(backtrail.Interceptor):
        async def intercept(self, phase: Phase, context: InterceptContext) -> InterceptResult:
            if not context.run_context.may("use_agent"):
                return InterceptResult.stop("Permission denied")
            return InterceptResult.continue_()

    @backtrail.agent
    def agent(task: str) -> str:
        return f"{task}: done"

    @backtrail.run(interceptors=[PermissionInterceptor()])
    def main(task: str) -> str:
        return agent(task)

    with capture_spans() as spans:
        assert main("Tidy up.", context=UserContext("u1", permissions={"use_agent"})) == "Tidy up.: done"
        with pytest.raises(InterceptedError) as stop:
            main("Tidy up.", context=UserContext("u2"))

    assert (stop.value.reason, stop.value.phase) == ("Permission denied", Phase.BEFORE_RUN)
    assert (spans[-1].attributes or {})[semconv.INTERCEPTED_REASON] == "Permission denied"


async def test_a_subagent_propagation() -> None:
    @backtrail.tool
    async def check_permissions(ctx: UserContext) -> str:
        return f"{ctx.query}: {'granted' if ctx.may('admin') else 'denied'}"

    @backtrail.agent(name="specialist")
    async def specialist(task: str) -> str:
        return await check_permissions()

    @backtrail.agent(name="orchestrator")
    async def orchestrator(task: str) -> tuple[list[str], dict[str, str]]:
        return await asyncio.gather(*(specialist(f"part {n}") for n in range(3))), backtrail.inject({})

    @backtrail.run
    async def main(task: str) -> Any:
        return await orchestrator(task)

    with capture_spans() as spans:
        answers, headers = await main("may I?", context=UserContext("u1"))
        with backtrail.extract(headers):
            await specialist("elsewhere", context=UserContext("u1", permissions={"admin"}))

    assert answers == ["may I?: denied"] * 3
    steps = [dict(span.attributes or {}) for span in spans.of_kind("step")]
    assert {step[semconv.AGENT_PATH] for step in steps} == {
        f'[["orchestrator",0],["specialist",{n}]]' for n in range(3)
    }
    assert {(step[semconv.QUERY], step[semconv.DEPTH], step[semconv.USER_ID]) for step in steps} == {
        ("may I?", 1, "u1")
    }
    assert steps[-1][semconv.STEP_RESULT] == '"may I?: granted"'


def test_a_depth() -> None:
    @backtrail.tool
    def process(ctx: DelegationContext) -> str:
        return f"at depth {ctx.depth} of {ctx.max_depth}" if ctx.can_delegate else "handled directly"

    @backtrail.agent
    def worker(left: int, ctx: DelegationContext) -> list[str]:
        return [process(), *(worker(left - 1) if left else [])]

    @backtrail.run
    def main(ctx: DelegationContext) -> list[str]:
        return worker(2)

    with capture_spans() as spans:
        assert main(context=DelegationContext(max_depth=2)) == [
            "at depth 0 of 2",
            "at depth 1 of 2",
            "handled directly",
        ]

    agents = [dict(span.attributes or {}) for span in spans.of_kind("agent")]
    assert [(agent[semconv.AGENT_DEPTH], agent[semconv.DEPTH]) for agent in agents] == [(2, 2), (1, 1), (0, 0)]


def test_a_retry_count_and_is_retry() -> None:
    @backtrail.tool
    def fetch(url: str, ctx: RetryContext) -> str:
        return f"{url} within {5 if not ctx.is_retry else 10 + 5 * ctx.retry_count} s"

    @backtrail.tool(retries=2)
    def flaky(tool: ToolContext) -> str:
        if tool.retry_count == 0:
            raise TimeoutError
        return f"try {tool.retry_count + 1}"

    @backtrail.run
    def main(url: str) -> tuple[str, str]:
        return fetch(url), flaky()

    first = RetryContext(max_retries=2)
    with capture_spans() as spans:
        assert main("x", context=first) == ("x within 5 s", "try 2")
        assert main("x", context=first.for_retry())[0] == "x within 15 s"

    fetches = [dict(span.attributes or {}) for span in spans if span.name == "execute_tool fetch"]
    assert [step[semconv.RETRY_COUNT] for step in fetches] == [0, 1]
    assert fetches[0][semconv.STEP_INPUT_HASH] == fetches[1][semconv.STEP_INPUT_HASH]


def test_a_tool_wrapped_in_tests() -> None:
    @backtrail.tool
    def get_orders(ctx: UserContext) -> str:
        return f"orders of {ctx.user_id}"

    assert get_orders.__wrapped__(ctx=UserContext("test-user")) == "orders of test-user"


# --- B ------------------------------------------------------------------------------------------------------


def test_b_tool_context_state() -> None:
    @backtrail.tool
    def look_up_customer(customer_id: int, tool: ToolContext) -> str:
        tool.state["customer_id"] = customer_id
        tool.state["account_type"] = "premium"
        return f"found {customer_id}"

    @backtrail.tool
    def bill(tool: ToolContext) -> str:
        customer_id = tool.state.get("customer_id")
        return f"{customer_id} pays {tool.state['account_type']}" if customer_id else "no customer found"

    @backtrail.run
    def main() -> list[str]:
        return [bill(), look_up_customer(123), bill()]

    with capture_spans() as spans:
        assert main() == ["no customer found", "found 123", "123 pays premium"]

    deltas = json.loads(attributes(spans, "execute_tool look_up_customer")[semconv.STEP_DELTAS])
    assert [(delta["scope"], delta["ops"][0]["key"]) for delta in deltas] == [
        ("run", "customer_id"),
        ("run", "account_type"),
    ]


def test_b_tool_context_context_usage_and_retries() -> None:
    @backtrail.step(kind=StepKind.LLM_CALL)
    def ask(this: StepContext) -> None:
        this.record_llm(request_model="m", input_tokens=10, output_tokens=5)

    @backtrail.tool
    def inspect(tool: ToolContext) -> dict[str, Any]:
        tool.context["seen"] = True
        return {
            "user": tool.context["user_id"],
            "request": tool.context["request"],
            "run": tool.run_context.query,
            "tokens": tool.usage.tokens,
            "retries": tool.retry_count,
            "seen": tool.state["seen"],
        }

    @dataclass
    class Both(UserContext, RetryContext):
        pass

    @backtrail.run
    def main(words: str) -> dict[str, Any]:
        ask()
        return inspect()

    with capture_spans():
        seen = main("hello", context=Both("u1", retry_count=2, metadata={"request": "r1"}))

    assert seen == {"user": "u1", "request": "r1", "run": "hello", "tokens": 15, "retries": 2, "seen": True}


async def test_b_deep_copy_isolation() -> None:
    given = RunContext(metadata={"notes": []})
    both = asyncio.Barrier(2)

    @backtrail.run
    async def main(name: str, ctx: RunContext) -> Any:
        history = [name]
        ctx.set_state("history", history)
        history.append("changed afterwards")
        ctx.get_state("history").append("changed where it was read")
        ctx.metadata["notes"].append(name)
        await both.wait()
        return ctx.get_state("history"), ctx.metadata["notes"]

    with capture_spans():
        results = await asyncio.gather(main("a", context=given), main("b", context=given))

    assert [*results] == [(["a"], ["a"]), (["b"], ["b"])]
    assert given.metadata == {"notes": []}


# --- C ------------------------------------------------------------------------------------------------------


def test_c_get_current_run_context_agent_context_and_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")

    @backtrail.agent(name="a")
    def agent() -> Any:
        return get_current_run_context(), get_current_agent_context(), get_current_client()

    @backtrail.run
    def main(ctx: RunContext) -> Any:
        return ctx, agent()

    for accessor in (get_current_run_context, get_current_agent_context):
        with pytest.raises(RuntimeError):
            accessor()
    with backtrail.configure("http://127.0.0.1:9") as client, capture_spans(strict=False):
        ctx, (run_context, agent_context, current) = main()
        assert (run_context, agent_context.name, current) == (ctx, "a", client)
    backtrail.shutdown()
    with pytest.raises(RuntimeError):
        get_current_client()


def test_c_has_active_run_agent_and_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    seen = []

    def look() -> None:
        seen.append((has_active_run(), has_active_agent(), has_active_client()))

    look()
    with backtrail.configure("http://127.0.0.1:9"), capture_spans():
        look()
        with backtrail.run("r"):
            look()
            with backtrail.agent("a"):
                look()
            look()
        look()
    backtrail.shutdown()
    look()

    assert seen == [
        (False, False, False),
        (False, False, True),
        (True, False, True),
        (True, True, True),
        (True, False, True),
        (False, False, True),
        (False, False, False),
    ]


def test_c_run_context_client_run_is_replaying_and_agents() -> None:
    @dataclass
    class Own(RunContext):
        agents: str = "a field of the user's wins"  # type: ignore[assignment, misc]

    client = backtrail.Client("http://127.0.0.1:9")
    with capture_spans() as spans:
        with client.start_run("nightly") as ctx, backtrail.agent("a"):
            assert (ctx.client, ctx.run.name, ctx.is_replaying) == (client, "nightly", False)
            assert f"{spans.pending[0].context.trace_id:032x}" == ctx.run.run_id
            assert [agent.name for agent in ctx.agents] == ["a"]
        with client.start_run("nightly", context=Own()) as own:
            assert str(own.agents) == "a field of the user's wins"
    client.close()


async def test_c_run_context_made_from_a_client() -> None:
    with capture_spans() as spans, backtrail.Client("http://127.0.0.1:9") as client:
        given = UserContext("u1")
        async with client.start_run("nightly", input={"day": 1}, context=given, state={"n": 1}) as ctx:
            assert get_current_run_context() is ctx
            assert (ctx.get_state("n"), isinstance(ctx, UserContext)) == (1, True)
        assert not has_active_run()
        with pytest.raises(LookupError), client.start_run("failing"):
            raise LookupError("nothing there")

    assert attributes(spans, "nightly")[semconv.RUN_INPUT] == '{"day":1}'
    assert attributes(spans, "nightly")[semconv.RUN_STATUS] == "completed"
    assert attributes(spans, "failing")[semconv.RUN_STATUS] == "failed"


def test_c_set_state_and_get_state_on_run_and_agent() -> None:
    with capture_spans() as spans, backtrail.run("r") as ctx, backtrail.agent("a") as me:
        ctx.set_state("iteration", 5)
        me.set_state("iteration", 6)
        assert (ctx.get_state("iteration"), me.get_state("iteration")) == (5, 6)
        assert (ctx.get_state("missing", default=0), me.get_state("missing", default=1)) == (0, 1)
        assert ctx.get_state("missing") is None

    last = dict(spans.of_kind("checkpoint")[-1].attributes or {})
    assert json.loads(str(last[semconv.CHECKPOINT_VALUES])) == {"run": {"iteration": 5}, me.key: {"iteration": 6}}


async def test_c_start_agent_and_async_with() -> None:
    with capture_spans() as spans:
        async with backtrail.run("r") as ctx:
            researcher = await ctx.start_agent("researcher", agent_config_id="ac_123", metadata={"model": "m"})
            async with researcher:
                assert get_current_agent_context() is researcher
            assert not has_active_agent()
            assert get_current_agent_context().is_default
            await (await get_current_agent_context().start_step("direct")).complete(1)

    found = attributes(spans, "invoke_agent researcher")
    assert (found[semconv.AGENT_CONFIG_ID], found[semconv.AGENT_METADATA]) == ("ac_123", '{"model":"m"}')
    assert attributes(spans, "direct")[semconv.GEN_AI_AGENT_NAME] == "default"


async def test_c_complete_and_fail_on_run_agent_and_step() -> None:
    with capture_spans() as spans:
        async with backtrail.run("good") as ctx:
            agent = await ctx.start_agent("helper")
            step = await agent.start_step("ask", StepKind.LLM_CALL)
            await step.complete("yes", tokens_used=500, cost_usd=0.01)
            await agent.complete("helped")
            await ctx.start_agent("left open")
            await ctx.complete("done")
            assert (ctx.totals.tokens, ctx.totals.cost_usd) == (500, 0.01)
        async with backtrail.run("bad") as ctx:
            agent = await ctx.start_agent("fails")
            await (await agent.start_step("breaks")).fail(ValueError("no"))
            await ctx.fail(RuntimeError("over"))

    endings = {
        span.name: [value for name, value in (span.attributes or {}).items() if name.endswith((".status", ".result"))]
        for span in spans
        if (span.attributes or {})[semconv.KIND] in ("run", "agent", "step")
    }
    assert endings == {
        "chat ask": ["completed", '"yes"'],
        "invoke_agent helper": ['"helped"', "completed"],
        "invoke_agent left open": ["null", "completed"],
        "good": ['"done"', "completed"],
        "breaks": ["failed"],
        "invoke_agent fails": ["failed"],
        "bad": ["failed"],
    }
    assert json.loads(attributes(spans, "bad")[semconv.RUN_ERROR])["message"] == "over"


def test_c_agent_context_run_context_agent_is_default_is_replaying_and_steps() -> None:
    @backtrail.step
    def look(n: int) -> int:
        return n

    @backtrail.agent(config_id="ac_1")
    def researcher(me: AgentContext, ctx: RunContext) -> AgentContext:
        assert me.run_context is ctx
        look(1)
        look(2)
        return me

    with capture_spans(strict=False), backtrail.run("r") as ctx:
        me = researcher()
        assert (me.agent.name, me.agent.config_id, me.agent.depth) == ("researcher", "ac_1", 0)
        assert (me.is_default, me.is_replaying) == (False, False)
        assert [step.name for step in me.steps] == ["look", "look"]
        assert ctx.agent.is_default


async def test_c_start_step() -> None:
    with capture_spans() as spans:
        async with backtrail.run("r") as ctx, ctx.start_agent("a") as agent:
            step = await agent.start_step(
                name="call_llm", kind=StepKind.LLM_CALL, input_args=("hi",), input_kwargs={"limit": 3}
            )
            await step.complete("answer")
            async with agent.start_step("block") as block:
                await block.complete("inside")
            with pytest.raises(ValueError, match="broken"):
                async with agent.start_step("failing"):
                    raise ValueError("broken")

    found = attributes(spans, "chat call_llm")
    assert found[semconv.STEP_INPUT] == '{"args":["hi"],"kwargs":{"limit":3}}'
    assert len(found[semconv.STEP_INPUT_HASH]) == 64
    assert attributes(spans, "block")[semconv.STEP_RESULT] == '"inside"'
    assert attributes(spans, "failing")[semconv.STEP_STATUS] == "failed"


async def test_c_step_context_complete_with_usage_agent_context_and_step() -> None:
    with capture_spans() as spans:
        async with backtrail.run("r") as ctx, ctx.start_agent("a") as agent:
            this = await agent.start_step("ask", kind="llm", input_args=("hi",))
            await this.complete("answer", tokens_used=500, cost_usd=0.01)
            assert this.agent_context is agent
            assert (this.step.name, this.step.occurrence, len(this.step.step_key)) == ("ask", 0, 32)
            assert len(this.idempotency_key) == 64

    span = spans.named("chat ask")
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time > span.start_time
    found = attributes(spans, "chat ask")
    assert (found[semconv.STEP_TOKENS], found[semconv.STEP_COST_USD]) == (500, 0.01)
