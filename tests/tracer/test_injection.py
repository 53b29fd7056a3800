"""Which parameters are filled in, by what their annotation says, however it says it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Optional, Union

import pytest

import backtrail
from backtrail import AgentContext, RunContext, StepContext, ToolContext
from backtrail.testing import capture_spans

if TYPE_CHECKING:
    from somewhere import Elsewhere  # type: ignore[import-not-found]


@dataclass
class AppContext(RunContext):
    user_id: str = "u1"


@dataclass
class OtherContext(RunContext):
    level: int = 1


def by_name(ctx: AppContext) -> Any:
    return ctx


def by_text(ctx: "AppContext") -> Any:  # noqa: UP037  (as written where annotations are no text already)
    return ctx


def by_optional(ctx: Optional[AppContext] = None) -> Any:  # noqa: UP045
    return ctx


def by_union(ctx: Union[None, AppContext] = None) -> Any:  # noqa: UP007, RUF036
    return ctx


def by_bar(ctx: None | AppContext = None) -> Any:  # noqa: RUF036
    return ctx


def by_default(ctx: AppContext = None) -> Any:  # type: ignore[assignment]
    return ctx


def by_annotated(ctx: Annotated[AppContext | None, "a note", 7]) -> Any:
    return ctx


def by_base(ctx: RunContext) -> Any:
    return ctx


def by_keyword(*, ctx: AppContext) -> Any:
    return ctx


def by_position(ctx: AppContext, /) -> Any:
    return ctx


def beside_unknown(ctx: AppContext, more: Elsewhere | None = None) -> Any:
    return ctx


def in_the_middle(ctx: AppContext, word: str = "w") -> Any:
    return ctx if word == "w" else None


SHAPES = [
    by_name,
    by_text,
    by_optional,
    by_union,
    by_bar,
    by_default,
    by_annotated,
    by_base,
    by_keyword,
    by_position,
    beside_unknown,
    in_the_middle,
]


@pytest.mark.parametrize("decorate", [backtrail.run, backtrail.agent, backtrail.step, backtrail.tool])
@pytest.mark.parametrize("function", SHAPES, ids=lambda function: function.__name__)
def test_a_context_is_filled_in(function: Any, decorate: Any) -> None:
    decorated = decorate(function)

    @backtrail.run
    def main() -> Any:
        return decorated()

    with capture_spans():
        assert main(context=AppContext("u7")).user_id == "u7"


@pytest.mark.parametrize("function", SHAPES, ids=lambda function: function.__name__)
def test_a_decorated_function_can_be_tested_by_itself(function: Any) -> None:
    wrapped = backtrail.tool(function).__wrapped__
    given = AppContext("u7")

    assert (wrapped(given) if function is by_position else wrapped(ctx=given)) is given


def test_classes_made_in_a_function_are_known_by_their_name_to_the_functions_beside_them() -> None:
    def program(words: str) -> Any:
        @dataclass
        class LocalContext(RunContext):
            tenant: str = words

        @backtrail.step
        def plain(ctx: LocalContext) -> str:
            return ctx.tenant

        @backtrail.step
        def optional(ctx: Annotated[LocalContext | None, Elsewhere]) -> str:
            return ctx.tenant if ctx else ""

        @backtrail.run
        def main() -> Any:
            return plain(), optional()

        return main, LocalContext

    def another() -> Any:
        @dataclass
        class LocalContext(RunContext): ...

        return LocalContext

    main, local = program("acme")
    newer = another()
    with capture_spans():
        assert main(context=local()) == ("acme", "acme")
    assert newer is not local


def test_every_kind_is_filled_in_at_once_and_methods_too() -> None:
    class Desk:
        @backtrail.tool
        async def look_up(
            self, order: str, ctx: AppContext, me: AgentContext, this: StepContext, tool: ToolContext
        ) -> tuple[str, ...]:
            assert tool.step_context is this
            return order, ctx.user_id, me.name, this.name

    @backtrail.agent(name="clerk")
    async def clerk(me: AgentContext, tool: ToolContext) -> Any:
        assert tool.agent_context is me
        return await Desk().look_up("A-1")

    @backtrail.run
    async def main(ctx: AppContext, tool: ToolContext) -> Any:
        assert tool.run_context is ctx
        return await clerk()

    with capture_spans():
        assert asyncio.run(main(context=AppContext())) == ("A-1", "u1", "clerk", "look_up")


def test_a_context_of_another_class_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    @backtrail.step
    def wants(other: OtherContext) -> None: ...

    @backtrail.step
    def would_like(other: OtherContext | None = None) -> Any:
        return other

    @backtrail.run
    def main() -> Any:
        with pytest.raises(TypeError, match="'other'"):
            wants()
        return would_like()

    with capture_spans() as spans, caplog.at_level(logging.ERROR):
        assert main(context=AppContext()) is None

    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith(
        "wants: no OtherContext is current here to be filled in for 'other'; a run is given one by context="
    )
    assert [(span.attributes or {})["backtrail.step.status"] for span in spans.of_kind("step")] == [
        "failed",
        "completed",
    ]


def test_what_was_given_stays_in_its_place() -> None:
    @backtrail.step
    def pair(ctx: AppContext, word: str = "w") -> tuple[Any, str]:
        return ctx, word

    other, mine = OtherContext(), AppContext("mine")

    @backtrail.run
    def main() -> Any:
        given: Any = other
        nothing: Any = None
        return pair(given), pair(mine), pair(nothing), pair(ctx=given), pair(ctx=nothing), pair("x")

    with capture_spans():
        results = main(context=AppContext("u7"))

    assert [result[0] for result in results[:5]] == [other, mine, None, other, None]
    assert (results[5][0].user_id, results[5][1]) == ("u7", "x")


def test_parameters_that_collect_are_not_filled_in() -> None:
    @backtrail.step
    def collect(*contexts: RunContext, **named: RunContext) -> tuple[int, int]:
        return len(contexts), len(named)

    with capture_spans(), backtrail.run("r"):
        assert collect() == (0, 0)
