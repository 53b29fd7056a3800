"""What a run used: every model call once, nothing that did not run, and nothing unknown as zero."""

from decimal import Decimal

import pytest

from backtrail_query.totals import Totals, Usage, count_calls, sum_agents, sum_below, sum_run
from backtrail_query.tree import build_tree
from backtrail_store.rows import SpanRow
from tests.query_api.spans import llm, span

RUN = span("run", kind="run")


def totals_of(spans: list[SpanRow]) -> Totals:
    tree = build_tree(spans)
    return sum_run(tree, count_calls(tree))


def test_tokens_and_cost_of_model_calls_add_up() -> None:
    spans = [
        RUN,
        llm("one", input_tokens=100, output_tokens=10, cost_usd=Decimal("0.5"), duration_ns=7),
        llm("two", input_tokens=1, output_tokens=2, cost_usd=Decimal("0.25"), duration_ns=5),
        span("lookup", "run", step_kind="tool", duration_ns=3),
    ]

    totals = totals_of(spans)

    assert (totals.llm_calls, totals.input_tokens, totals.output_tokens) == (2, 101, 12)
    assert (totals.cost_usd, totals.unpriced_calls) == (Decimal("0.75"), 0)
    assert (totals.llm_duration_ns, totals.tool_calls, totals.tool_duration_ns) == (12, 1, 3)
    assert totals.step_count == 3


def test_a_try_that_failed_is_no_error_of_the_run() -> None:
    spans = [
        RUN,
        llm("fetch", input_tokens=5),
        span("attempt 1", "fetch", "attempt", status_code="error"),
        span("attempt 2", "fetch", "attempt"),
    ]

    totals = totals_of(spans)

    assert (totals.error_count, totals.step_count, totals.llm_calls) == (0, 1, 1)


def test_a_tool_that_tells_of_itself_within_the_step_that_called_it_counts_once() -> None:
    spans = [
        RUN,
        span("step", "run", step_kind="tool", tool_name="look_up", duration_ns=9),
        span("tools/call", "step", ""),
        span("server", "tools/call", "", step_kind="tool", tool_name="look_up", duration_ns=7),
        span("inner", "server", step_kind="tool", tool_name="query", duration_ns=5),
    ]

    totals = totals_of(spans)

    assert (totals.tool_calls, totals.tool_duration_ns) == (2, 14)


def test_a_tool_that_calls_itself_counts_each_time() -> None:
    spans = [
        RUN,
        span("outer", "run", step_kind="tool", tool_name="walk", duration_ns=9),
        span("inner", "outer", step_kind="tool", tool_name="walk", duration_ns=7),
    ]

    assert totals_of(spans).tool_calls == 2


def test_what_describes_a_call_that_was_served_from_the_record_counts_nothing() -> None:
    spans = [RUN, llm("told outside", "run", input_tokens=100), llm("step", "told outside", replayed=True)]

    assert (totals_of(spans).llm_calls, totals_of(spans).input_tokens) == (0, None)


@pytest.mark.parametrize("step_kind", ["llm", "embedding", "reranker"])
def test_what_a_span_does_makes_it_a_call_whatever_operation_it_names(step_kind: str) -> None:
    assert totals_of([RUN, span("call", "run", "", step_kind=step_kind, operation_name="chain")]).llm_calls == 1


@pytest.mark.parametrize("operation", ["chat", "text_completion", "generate_content", "embeddings"])
def test_an_operation_alone_makes_no_call(operation: str) -> None:
    """LangSmith's prompt templates and retrievers name these too."""
    spans = [RUN, span("template", "run", "", step_kind="prompt", operation_name=operation)]

    assert totals_of(spans).llm_calls == 0


@pytest.mark.parametrize("kind", ["run", "agent", "attempt"])
def test_what_backtrail_says_of_a_span_goes_before_what_it_looks_like(kind: str) -> None:
    assert totals_of([RUN, span("asked", "run", kind, step_kind="llm")]).llm_calls == 0


def test_an_agent_that_repeats_the_sum_of_its_calls_counts_nothing() -> None:
    spans = [
        RUN,
        span("agent", "run", "agent", operation_name="invoke_agent", input_tokens=100, cost_usd=Decimal("9.0")),
        llm("chat", "agent", input_tokens=100, cost_usd=Decimal("1.0")),
    ]

    totals = totals_of(spans)

    assert (totals.llm_calls, totals.input_tokens, totals.cost_usd) == (1, 100, Decimal(1))


def test_an_agent_of_whose_calls_nothing_is_known_speaks_for_itself() -> None:
    spans = [
        RUN,
        span("outer", "run", "agent", input_tokens=300),
        span("inner", "outer", "agent", input_tokens=100),
        span("lookup", "inner", step_kind="tool"),
    ]

    assert totals_of(spans).input_tokens == 100


def test_of_two_agents_one_tells_its_calls_and_one_their_sum() -> None:
    spans = [
        RUN,
        span("open", "run", "agent", input_tokens=100),
        llm("chat", "open", input_tokens=100, cost_usd=1.0),
        span("closed", "run", "agent", input_tokens=50),
    ]

    tree = build_tree(spans)

    assert totals_of(spans).input_tokens == 150
    assert sum_agents(tree, count_calls(tree))["closed"].input_tokens == 50


def test_a_call_told_side_by_side_counts_once_in_the_agent_that_made_it() -> None:
    spans = [
        RUN,
        span("agent", "run", "agent"),
        llm("framework", "agent", input_tokens=7, request_model="m", scope_name="framework"),
        llm("client", "run", input_tokens=7, request_model="m", scope_name="client"),
    ]

    tree = build_tree(spans)
    calls = count_calls(tree)
    totals, agents = sum_run(tree, calls), sum_agents(tree, calls)

    assert (totals.llm_calls, totals.calls_told_again, totals.input_tokens) == (1, 1, 7)
    assert agents["agent"].input_tokens == 7


def test_costs_add_up_in_the_kind_of_number_they_are() -> None:
    spans = [RUN, llm("one", cost_usd=Decimal("0.1")), llm("two", cost_usd=Decimal("0.2")), llm("three")]

    totals = totals_of(spans)

    assert (str(totals.cost_usd), totals.unpriced_calls) == ("0.3", 1)
    assert str(sum_below(build_tree(spans), count_calls(build_tree(spans)))["run"].cost_usd) == "0.3"


def test_of_nested_spans_of_one_call_the_innermost_with_usage_counts() -> None:
    spans = [
        RUN,
        llm("step", input_tokens=5),
        span("framework", "step", "", step_kind="llm"),
        span("provider", "framework", "", step_kind="llm", input_tokens=7),
        llm("told outside", input_tokens=3),
        span("silent inside", "told outside", "", step_kind="llm"),
        llm("silent"),
        span("silent too", "silent", "", step_kind="llm"),
    ]

    tree = build_tree(spans)

    assert count_calls(tree).counted == {"provider", "told outside", "silent too"}
    assert totals_of(spans).input_tokens == 10


def test_replayed_steps_and_open_calls_count_nothing() -> None:
    spans = [
        RUN,
        llm("served", replayed=True, input_tokens=5, cost_usd=Decimal("1.0")),
        llm("open", is_pending=True, input_tokens=5, cost_usd=Decimal("1.0")),
    ]

    totals = totals_of(spans)

    assert (totals.llm_calls, totals.input_tokens, totals.cost_usd) == (0, None, None)
    assert totals.replayed_count == 1


def test_missing_usage_is_unknown_and_not_zero() -> None:
    totals = totals_of([RUN, llm("chat")])

    assert (totals.llm_calls, totals.input_tokens, totals.cost_usd, totals.unpriced_calls) == (1, None, None, 1)


def test_agents_leave_out_what_they_delegated_and_the_tree_includes_it() -> None:
    spans = [
        RUN,
        span("planner", "run", "agent"),
        llm("plan", "planner", input_tokens=1, cost_usd=Decimal("1.0")),
        span("writer", "planner", "agent"),
        llm("write", "writer", input_tokens=10, cost_usd=Decimal("2.0")),
    ]

    tree = build_tree(spans)

    calls = count_calls(tree)
    below = sum_below(tree, calls)
    agents = {name: totals.input_tokens for name, totals in sum_agents(tree, calls).items()}
    assert agents == {"run": None, "planner": 1, "writer": 10}
    assert below["planner"] == below["run"] == Usage(11, None, Decimal(3))
