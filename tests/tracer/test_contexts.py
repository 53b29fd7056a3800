"""A user's context is theirs: a dataclass of any kind, found by annotation, never written to."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Annotated, Any

import pytest

import backtrail
from backtrail import (
    AgentContext,
    RunContext,
    StepContext,
    get_current_agent_context,
    get_current_client,
    get_current_run_context,
    get_current_step_context,
    has_active_agent,
    has_active_client,
    has_active_run,
    semconv,
)
from backtrail.contexts import ExecutionContext
from backtrail.testing import capture_spans


@dataclass
class AppContext(RunContext):
    user_id: str
    permissions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FrozenContext(RunContext):  # type: ignore[misc]
    user_id: str


@dataclass
class SpecialContext(AppContext):
    level: int = 1
    run: str = "a field of this name wins"  # type: ignore[assignment, misc]


class PlainContext(RunContext):
    pass


def test_subclasses_are_dataclasses_of_the_users_kind() -> None:
    app, frozen = AppContext("u1"), FrozenContext("u2", query="q", metadata={"a": 1})
    special = SpecialContext("u3", level=2)

    assert (app.user_id, app.query, app.metadata, app.permissions) == ("u1", "", {}, [])
    assert (frozen.query, frozen.get("a"), frozen.get("b", 2)) == ("q", 1, 2)
    with pytest.raises(FrozenInstanceError):
        frozen.user_id = "other"  # type: ignore[misc]
    assert (special.run, special.level) == ("a field of this name wins", 2)
    assert PlainContext(query="q").query == "q"
    assert AppContext("u1") == AppContext("u1")
    assert "query" not in repr(app)


def test_a_context_may_have_slots() -> None:
    @dataclass(frozen=True, slots=True)
    class Slotted(RunContext):  # type: ignore[misc]
        user_id: str

    @backtrail.run
    def main(words: str, ctx: Slotted) -> tuple[str, str]:
        return ctx.query, ctx.user_id

    with capture_spans():
        assert main("hello", context=Slotted("u1")) == ("hello", "u1")


def test_with_metadata_makes_a_copy() -> None:
    frozen = FrozenContext("u", metadata={"a": 1})
    more = frozen.with_metadata(b=2)

    assert (more.metadata, frozen.metadata, more.user_id) == ({"a": 1, "b": 2}, {"a": 1}, "u")


@backtrail.step
def who(ctx: AppContext, suffix: str = "") -> str:
    return ctx.user_id + suffix


@backtrail.step
def maybe(a: str, ctx: AppContext | None = None) -> str:
    return f"{a} {ctx.user_id if ctx else None}"


@backtrail.step
async def noted(ctx: Annotated[RunContext, "note"], me: AgentContext, this: StepContext) -> tuple[str, str, str]:
    return ctx.query, me.name, this.name


def test_contexts_are_filled_in_where_they_are_left_out() -> None:
    @backtrail.agent(name="helper")
    async def helper() -> Any:
        return [who(), who("!"), who(suffix="?"), who(ctx=AppContext("other")), maybe("a"), await noted()]

    @backtrail.run
    async def main(question: str) -> Any:
        return await helper()

    with capture_spans():
        result = asyncio.run(main("why?", context=AppContext("u1")))

    assert result == ["u1", "u1!", "u1?", "other", "a u1", ("why?", "helper", "noted")]


def test_a_context_of_another_class_is_not_forced_in() -> None:
    @backtrail.run
    def main() -> str:
        with pytest.raises(TypeError, match="ctx"):
            who()
        return maybe("a")

    with capture_spans():
        assert main() == "a None"


def test_outside_a_run_a_context_can_be_looked_over() -> None:
    context = AppContext("u")

    assert not hasattr(context, "run")
    assert getattr(context, "agents", None) is None
    assert ("user_id", "u") in inspect.getmembers(context)
    with pytest.raises(RuntimeError, match="no run is active here"):
        _ = context.run


def test_outside_a_run_the_default_stays() -> None:
    assert maybe("a") == "a None"
    assert who.__wrapped__(ctx=AppContext("u")) == "u"
    assert who(ctx=AppContext("u")) == "u"


def test_the_query_is_filled_on_a_copy_and_kept_in_delegation() -> None:
    given = FrozenContext("u1")
    seen: list[str] = []

    @backtrail.agent
    def specialist(task: str, ctx: FrozenContext) -> None:
        seen.append(f"{task}: {ctx.query}")

    @backtrail.agent
    def orchestrator(task: str) -> None:
        specialist("check permissions")
        specialist("again", context=FrozenContext("u2"))

    @backtrail.run
    def main(prompt: str, ctx: FrozenContext) -> None:
        orchestrator(prompt)

    with capture_spans():
        main("can I delete files?", context=given)
        main("by hand", FrozenContext("u3"))

    assert seen[:2] == ["check permissions: can I delete files?", "again: can I delete files?"]
    assert seen[2] == "check permissions: by hand"
    assert given.query == ""


def test_the_parameter_of_the_query_can_be_named() -> None:
    @backtrail.run(query="words")
    def main(tenant: str, words: str, ctx: RunContext) -> str:
        return ctx.query

    with capture_spans():
        assert main("acme", "hello") == "hello"


def test_options_can_be_given_without_touching_the_call() -> None:
    @backtrail.run
    def main(ctx: RunContext) -> Any:
        return ctx.get_state("n"), ctx.get("a")

    with capture_spans() as spans:
        configured = main.with_options(context=RunContext(metadata={"a": 1}), state={"n": 5}, conversation_id="c-9")
        assert configured() == (5, 1)
        with pytest.raises(TypeError, match="colour"):
            main.with_options(colour="red")  # type: ignore[call-arg]

    assert (spans.named("main").attributes or {})[semconv.GEN_AI_CONVERSATION_ID] == "c-9"


def test_a_context_argument_that_is_none_of_ours_is_the_functions_own() -> None:
    @backtrail.run
    def plain(query: str) -> str:
        return query

    @backtrail.run
    def own(query: str, context: dict[str, int]) -> dict[str, int]:
        return context

    @backtrail.run
    def open_to_all(query: str, **more: Any) -> tuple[bool, str]:
        return more["context"] == words, backtrail.get_current_run_context().query

    words = RunContext(query="the context's words")
    with capture_spans() as spans:
        with pytest.raises(TypeError, match="unexpected keyword argument 'context'"):
            plain("q", context={"a": 1})  # type: ignore[call-overload]
        assert plain("q", context=None) == "q"
        assert own("q", context={"a": 1}) == {"a": 1}
        assert open_to_all("q", context=words) == (True, "the context's words")

    assert len(spans.of_kind("run")) == 4


def test_what_is_no_context_is_refused_where_one_is_asked_for() -> None:
    anything: Any = {"user_id": "1"}

    with pytest.raises(TypeError, match="is a RunContext, not dict"):
        backtrail.run("nightly", context=anything)
    with pytest.raises(TypeError, match="is a RunContext, not dict"):
        backtrail.run(lambda: None).with_options(context=anything)


def test_fields_of_the_context_say_more_about_the_lineage() -> None:
    @dataclass
    class TaskContext(RunContext):
        user_id: str = "u1"
        task_id: str = "t-9"
        parent_task_id: str | None = "t-8"
        task_chain: list[str] = field(default_factory=lambda: ["t-7", "t-8"])
        depth: int = 2
        retry_count: int = 1

    @backtrail.run
    def main() -> None:
        maybe("a")

    with capture_spans() as spans:
        main(context=TaskContext())

    found = spans.named("maybe").attributes or {}
    wanted = {
        semconv.USER_ID: "u1",
        semconv.TASK_ID: "t-9",
        semconv.TASK_PARENT_ID: "t-8",
        semconv.TASK_CHAIN: ("t-7", "t-8"),
        semconv.DEPTH: 2,
        semconv.RETRY_COUNT: 1,
    }
    assert {name: found.get(name) for name in wanted} == wanted


def test_the_accessors_know_what_is_current() -> None:
    assert (has_active_run(), has_active_agent()) == (False, False)
    for accessor in (get_current_run_context, get_current_agent_context, get_current_step_context):
        with pytest.raises(RuntimeError):
            accessor()

    @backtrail.step
    def inside() -> tuple[str, str]:
        return get_current_agent_context().name, get_current_step_context().name

    @backtrail.agent(name="a")
    def agent() -> Any:
        return inside(), has_active_agent(), get_current_run_context().agent.name

    @backtrail.run
    def main(ctx: RunContext) -> Any:
        return has_active_run(), has_active_agent(), agent(), [each.name for each in ctx.agents], ctx.run.name

    with capture_spans():
        assert main() == (True, False, (("a", "inside"), True, "a"), ["a"], "main")
    assert has_active_run() is False


def test_a_client_is_current_once_there_is_one() -> None:
    if not has_active_client():
        with pytest.raises(RuntimeError, match="configure"):
            get_current_client()


def test_services_are_named_and_not_recorded() -> None:
    @dataclass
    class ServiceContext(RunContext):
        db: object
        user_id: str = "u1"

    @backtrail.run
    def main(ctx: ServiceContext) -> bool:
        return ctx.db is db

    db = object()
    with capture_spans() as spans:
        assert main(context=ServiceContext(db))

    text = str((spans.named("main").attributes or {})[semconv.RUN_CONTEXT])
    assert '"opaque":["db"]' in text
    assert '"user_id":"u1"' in text


def test_a_context_that_cannot_be_copied_is_used_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    @dataclass
    class Single(ExecutionContext):
        user_id: str = "u1"

        def __copy__(self) -> Single:
            raise RuntimeError("there is only one")

    @backtrail.agent
    def inner(ctx: Single) -> Single:
        return ctx

    @backtrail.agent
    def outer() -> Single:
        return inner()

    @backtrail.run
    def main(words: str, ctx: Single) -> bool:
        return outer() is ctx

    given = Single()
    with capture_spans(strict=False) as spans:
        assert main("hello", context=given) is True
    assert [(span.attributes or {})[semconv.DEPTH] for span in spans.of_kind("agent")] == [1, 0]
    assert (spans.named("main").attributes or {})[semconv.USER_ID] == "u1"
    assert sorted({message.split(" failed")[0] for message in caplog.messages if "failed;" in message}) == [
        "copying a context",
        "giving an agent its context",
    ]


def test_what_went_wrong_may_be_said_in_a_sentence() -> None:
    with capture_spans() as spans, backtrail.run("r") as ctx:
        agent = ctx.start_agent("a")
        agent.start_step("s").fail("no answer")
        agent.fail("gave up")
        ctx.fail("nothing done")

    errors = [(span.name, span.status.description) for span in spans if not span.status.is_unset]
    assert errors == [
        ("s", "RuntimeError: no answer"),
        ("invoke_agent a", "RuntimeError: gave up"),
        ("r", "RuntimeError: nothing done"),
    ]
