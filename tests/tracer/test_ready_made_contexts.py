"""backtrail.contexts: whose task, how deep, for which try, until when; on the context and on the spans alike."""

import logging
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import backtrail
from backtrail import RunContext, now_utc, semconv
from backtrail.contexts import DelegationContext, ExecutionContext, RetryContext, TaskContext, TimedContext
from backtrail.errors import ContextLimitError
from backtrail.testing import CapturedSpans, capture_spans


@dataclass
class AppContext(ExecutionContext):
    user_id: str = "u1"
    permissions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FrozenContext(ExecutionContext):  # type: ignore[misc]
    user_id: str = "u1"


@dataclass(frozen=True, slots=True)
class TaskAndTime(TaskContext, TimedContext):  # type: ignore[misc]
    user_id: str


@dataclass
class Grown(AppContext, TimedContext):
    tenant: str = "acme"


def attributes_of(spans: CapturedSpans, name: str) -> dict[str, Any]:
    return dict(spans.named(name).attributes or {})


def test_each_may_be_used_as_it_is() -> None:
    context = ExecutionContext(query="q", max_depth=2)

    assert (context.depth, context.max_depth, context.retry_count, context.max_retries) == (0, 2, 0, 3)
    assert (context.parent_task_id, context.task_chain, context.deadline) == (None, [], None)
    assert (context.is_root_task, context.can_delegate, context.is_retry, context.is_overdue) == (
        True,
        True,
        False,
        False,
    )
    assert len(context.task_id) == 32
    assert context.task_id != ExecutionContext().task_id
    assert context.started_at.tzinfo is not None
    assert "max_depth=2" in repr(context)
    with pytest.raises(TypeError, match="colour"):
        ExecutionContext(colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize("cls", [DelegationContext, TaskContext, RetryContext, TimedContext, ExecutionContext])
def test_a_dataclass_below_each_may_be_frozen_or_not(cls: type[RunContext]) -> None:
    namespace = {"__annotations__": {"user_id": str}, "user_id": "u1"}

    for options in ({}, {"frozen": True}, {"frozen": True, "slots": True}, {"kw_only": True}, {"eq": False}):
        made: Any = dataclass(**options)(type("Made", (cls,), dict(namespace)))
        assert made(user_id="u2", metadata={"a": 1}).with_metadata(b=2).metadata == {"a": 1, "b": 2}
        assert made().user_id == "u1"


def test_they_combine_in_any_order_and_over_several_dataclasses() -> None:
    mixed = TaskAndTime("u1", task_id="t1")
    grown = Grown(tenant="other", max_depth=1)

    assert (mixed.task_id, mixed.user_id, mixed.is_overdue) == ("t1", "u1", False)
    assert (grown.tenant, grown.user_id, grown.max_depth, grown.depth) == ("other", "u1", 1, 0)
    assert replace(grown, depth=1).depth == 1
    assert asdict(grown)["tenant"] == "other"
    assert {type(each) for each in (AppContext().permissions, AppContext().task_chain)} == {list}
    assert AppContext().task_chain is not AppContext().task_chain


@pytest.mark.parametrize("cls", [AppContext, FrozenContext, ExecutionContext])
def test_a_child_has_a_task_of_its_own_and_keeps_the_rest(cls: Any) -> None:
    deadline = now_utc() + timedelta(seconds=30)
    context = cls(query="why?", metadata={"request": "r1"}, task_id="t1", deadline=deadline, retry_count=1)

    child = context.create_child_context()
    grandchild = child.create_child_context(max_depth=9)

    assert type(child) is cls
    assert (child.query, child.metadata, child.deadline) == ("why?", {"request": "r1"}, deadline)
    assert (child.parent_task_id, child.task_chain, child.depth, child.retry_count) == ("t1", ["t1"], 1, 0)
    assert (grandchild.task_chain, grandchild.depth, grandchild.max_depth) == (["t1", child.task_id], 2, 9)
    assert child.started_at >= context.started_at
    assert not child.is_root_task
    child.metadata["request"] = "r2"
    assert (context.metadata, context.task_chain, context.depth) == ({"request": "r1"}, [], 0)
    with pytest.raises(TypeError, match="has no field 'colour'"):
        context.create_child_context(colour="red")


def test_a_child_keeps_the_users_own_fields() -> None:
    @dataclass(frozen=True)
    class Own(ExecutionContext):  # type: ignore[misc]
        user_id: str
        db: object = None
        made: int = field(init=False, default=0)

    db = object()
    child = Own("u7", db).create_child_context(user_id="u8")

    assert (child.user_id, child.db, child.made) == ("u8", db, 0)


def test_a_child_below_max_depth_is_refused() -> None:
    context = DelegationContext(depth=2, max_depth=2)

    assert not context.can_delegate
    with pytest.raises(ContextLimitError, match="depth 2 is as deep as max_depth 2 allows"):
        context.create_child_context()


def test_a_retry_is_another_try_of_the_same_task() -> None:
    first = FrozenContext(task_id="t1", query="q", max_retries=2, metadata={"a": 1})

    second = first.for_retry()
    third = second.for_retry(user_id="u2")

    assert [(each.retry_count, each.is_retry, each.can_retry) for each in (first, second, third)] == [
        (0, False, True),
        (1, True, True),
        (2, True, False),
    ]
    assert (third.task_id, third.query, third.metadata, third.user_id) == ("t1", "q", {"a": 1}, "u2")
    with pytest.raises(ContextLimitError, match="retry 2 was the last of 2"):
        third.for_retry()


def test_times_are_told_from_now() -> None:
    now = datetime.now(UTC)
    late = TimedContext(started_at=now - timedelta(seconds=60), deadline=now - timedelta(seconds=1))
    early = TimedContext(deadline=now + timedelta(seconds=60))
    local = TimedContext(deadline=datetime.now() + timedelta(seconds=60))

    assert (late.is_overdue, early.is_overdue, local.is_overdue, TimedContext().is_overdue) == (
        True,
        False,
        False,
        False,
    )
    assert 60 <= late.elapsed_seconds < 70
    assert late.remaining_seconds is not None
    assert -10 < late.remaining_seconds <= -1
    assert local.remaining_seconds is not None
    assert 50 < local.remaining_seconds <= 60
    assert TimedContext().remaining_seconds is None


@backtrail.step
def look(ctx: RunContext) -> None: ...


@backtrail.agent(name="writer")
def write(ctx: AppContext) -> AppContext:
    look()
    return ctx


@backtrail.agent(name="lead")
def lead(ctx: AppContext, how: str = "by itself") -> tuple[AppContext, AppContext]:
    match how:
        case "by hand":
            return ctx, write(context=ctx.create_child_context(max_depth=9))
        case "the same":
            return ctx, write(context=ctx)
        case "a new one":
            return ctx, write(context=AppContext(task_id="t9", user_id="u9"))
    return ctx, write()


@backtrail.run(name="main")
def main(ctx: AppContext, how: str = "by itself") -> tuple[AppContext, AppContext]:
    return lead(how=how)


@pytest.mark.parametrize("how", ["by itself", "by hand", "the same", "a new one"])
def test_a_delegated_agent_stands_one_deeper_on_its_context_and_on_its_spans(how: str) -> None:
    given = AppContext(task_id="t1", retry_count=1, deadline=datetime(2030, 1, 1, tzinfo=UTC))
    with capture_spans() as spans:
        own, child = main(how=how, context=given)

    assert (own.task_id, own.depth, own.task_chain) == ("t1", 0, [])
    assert (child.parent_task_id, child.depth) == ("t1", 1)
    assert child.task_chain == ["t1"]
    for name in ("invoke_agent writer", "look"):
        found = attributes_of(spans, name)
        assert found[semconv.TASK_ID] == child.task_id
        assert found[semconv.TASK_PARENT_ID] == "t1"
        assert found[semconv.TASK_CHAIN] == ("t1",)
        assert found[semconv.DEPTH] == 1
        assert found[semconv.MAX_DEPTH] == child.max_depth
        assert found[semconv.RETRY_COUNT] == child.retry_count
    assert attributes_of(spans, "invoke_agent lead")[semconv.TASK_ID] == "t1"
    assert attributes_of(spans, "invoke_agent lead")[semconv.DEADLINE] == "2030-01-01T00:00:00+00:00"
    assert (given.depth, given.task_id, given.task_chain, given.query) == (0, "t1", [], "")


def test_the_task_of_a_delegated_agent_is_the_same_in_a_second_run_of_the_lineage() -> None:
    with capture_spans():
        first = main(context=AppContext(task_id="t1"))[1].task_id
    with capture_spans():
        second = main(context=AppContext(task_id="t1"))[1].task_id

    assert first == second


def test_delegation_past_max_depth_goes_on_and_is_marked(caplog: pytest.LogCaptureFixture) -> None:
    with capture_spans() as spans, caplog.at_level(logging.WARNING):
        _, child = main(context=AppContext(max_depth=0))

    assert (child.depth, child.can_delegate) == (1, False)
    found = attributes_of(spans, "invoke_agent writer")
    assert (found[semconv.DEPTH], found[semconv.MAX_DEPTH]) == (1, 0)
    assert caplog.messages == ["agent writer is at depth 1, past the max_depth of 0"]


def test_agents_and_steps_started_by_hand_delegate_alike() -> None:
    with capture_spans() as spans, backtrail.run("r", context=AppContext(task_id="t1")), backtrail.agent("a"):
        ctx = backtrail.get_current_run_context()
        assert isinstance(ctx, AppContext)
        with ctx.start_agent("b") as b:
            inner = backtrail.get_current_run_context()
            assert inner is b.run_context
            assert isinstance(inner, AppContext)
            assert (inner.depth, inner.task_chain) == (1, ["t1"])
            b.start_step("s").complete(1)

    assert attributes_of(spans, "s")[semconv.TASK_ID] == inner.task_id


def test_a_context_whose_properties_raise_breaks_nothing() -> None:
    class Hostile(Exception):
        pass

    @dataclass
    class Odd(ExecutionContext):
        user_id: str = "u1"

        @property  # type: ignore[misc]
        def depth(self) -> int:  # type: ignore[override]
            raise Hostile

        @property  # type: ignore[misc]
        def deadline(self) -> datetime:  # type: ignore[override]
            raise Hostile

        @property
        def conversation_id(self) -> str:
            raise Hostile

    @backtrail.agent
    def inner(ctx: Odd) -> str:
        return ctx.user_id

    @backtrail.agent
    def outer() -> str:
        return inner()

    @backtrail.run
    def whole(ctx: Odd) -> str:
        assert ctx.to_json()
        return outer()

    with capture_spans() as spans:
        assert whole(context=Odd(user_id="u2")) == "u2"

    found = attributes_of(spans, "invoke_agent inner")
    assert (found[semconv.DEPTH], found[semconv.USER_ID]) == (1, "u2")
    assert semconv.DEADLINE not in found
