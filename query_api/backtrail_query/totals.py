"""Tokens, cost and time of a run and of each agent in it. Pure.

    tree → **totals** → routes/runs.py

Only model calls count, each once, by whichever of its spans knows most; an agent's own sum does where no call is
recorded below it (model_calls decides). A step answered from the record cost nothing, and a call still open is not
known yet. Missing is not zero: a sum of nothing is None, and calls without a price are told apart.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from backtrail_query.tree import Tree, TreeNode
from backtrail_store.call_spans import CallSpan, is_model_call
from backtrail_store.model_calls import Counting, count_once
from backtrail_store.rows import SpanRow

Number = TypeVar("Number", int, float, Decimal)
WhyNot: TypeAlias = Literal["same_call_as", "sum_of_calls_below", "answered_from_record", "pending"]


class Usage(NamedTuple):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None


@dataclass(slots=True, kw_only=True)
class Totals:
    step_count: int = 0
    error_count: int = 0
    replayed_count: int = 0
    llm_calls: int = 0
    calls_told_again: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None
    unpriced_calls: int = 0
    llm_duration_ns: int = 0
    tool_calls: int = 0
    tool_duration_ns: int = 0

    def add(self, node: TreeNode, calls: Counting[str], tools_told_again: Set[str]) -> None:
        span = node.span
        self.step_count += node.kind == "step"
        # A try that failed is the step's failure told again, or none at all if the next one succeeded.
        self.error_count += span.status_code == "error" and node.kind != "attempt"
        self.replayed_count += span.replayed
        if span.is_pending or span.replayed:
            return
        if span.step_kind == "tool" and span.span_id not in tools_told_again:
            self.tool_calls += 1
            self.tool_duration_ns += span.duration_ns
        self.calls_told_again += span.span_id in calls.same_as
        if span.span_id not in calls.counted:
            return
        self.llm_calls += 1
        self.llm_duration_ns += span.duration_ns
        self.input_tokens = _plus(self.input_tokens, span.input_tokens)
        self.output_tokens = _plus(self.output_tokens, span.output_tokens)
        self.cost_usd = _plus(self.cost_usd, span.cost_usd)
        self.unpriced_calls += span.cost_usd is None

    def as_json(self) -> dict[str, int | Decimal | None]:
        return {name: getattr(self, name) for name in _TOTALS}


_TOTALS = [field.name for field in fields(Totals)]


def sum_run(tree: Tree, calls: Counting[str]) -> Totals:
    totals = Totals()
    told_again = tools_told_again(tree)
    for node in tree.nodes:
        totals.add(node, calls, told_again)
    return totals


def sum_agents(tree: Tree, calls: Counting[str]) -> dict[str, Totals]:
    """For each agent's span id what happened in it, without the agents it delegated to: these add up to the run."""
    agents: dict[str, Totals] = {}
    waiting = [(tree.root, agents.setdefault(tree.root.span.span_id, Totals()))]
    told_again = tools_told_again(tree)
    while waiting:
        node, totals = waiting.pop()
        if node.kind == "agent":
            totals = agents.setdefault(node.span.span_id, Totals())
        totals.add(node, calls, told_again)
        waiting.extend((child, totals) for child in node.children)
    return agents


def sum_below(tree: Tree, calls: Counting[str]) -> dict[str, Usage]:
    """For each span id the tokens and cost of the counted calls in it and below it, where there are any."""
    sums: dict[str, Usage] = {}
    for node in reversed(tree.nodes):
        span = node.span
        parts = [sums[child.span.span_id] for child in node.children if child.span.span_id in sums]
        if span.span_id in calls.counted:
            parts.append(Usage(span.input_tokens, span.output_tokens, span.cost_usd))
        if parts:
            sums[span.span_id] = Usage(*(_sum_known(column) for column in zip(*parts, strict=True)))
    return sums


def count_calls(tree: Tree) -> Counting[str]:
    """How each span was counted. Who lies within whom is what the spans say, as for the list of runs: the tree hangs
    some of them elsewhere."""
    return count_once([_call_span(node) for node in tree.nodes if _tells_usage(node)], tree.parent_ids)


def why_not_counted(node: TreeNode, calls: Counting[str]) -> WhyNot | None:
    """Of a span that is a model call or carries usage; None for one that counts."""
    span = node.span
    if span.span_id in calls.counted:
        return None
    if span.is_pending:
        return "pending"
    if span.span_id in calls.same_as:
        return "same_call_as"
    return "answered_from_record" if span.replayed or span.span_id in calls.not_asked else "sum_of_calls_below"


def tools_told_again(tree: Tree) -> set[str]:
    """Span ids of tools within the same tool: an MCP server's own span, say, within the step that called it. Two steps
    of ours are two calls: of a tool that calls itself."""
    told_again = set()
    nearest: dict[str, TreeNode | None] = {}
    for node in tree.nodes:
        span = node.span
        outer = nearest.get(tree.parent_ids[span.span_id])
        if span.step_kind == "tool":
            if outer is not None and span.tool_name and _is_told_again(node, outer):
                told_again.add(span.span_id)
            outer = node
        nearest[span.span_id] = outer
    return told_again


def _is_told_again(node: TreeNode, outer: TreeNode) -> bool:
    return node.span.tool_name == outer.span.tool_name and not (node.kind == outer.kind == "step")


def says_of_usage(node: TreeNode) -> bool:
    """Whether a span is a model call, ended or not, or carries usage."""
    return is_model_call(node.kind, node.span.step_kind) or _has_usage(node.span)


def _tells_usage(node: TreeNode) -> bool:
    """Whether a span has a say in what counts: a call that ended, be it answered from the record, or usage."""
    if node.span.is_pending:
        return False
    return is_model_call(node.kind, node.span.step_kind) or (_has_usage(node.span) and not node.span.replayed)


def _call_span(node: TreeNode) -> CallSpan[str]:
    span = node.span
    return CallSpan(
        span_id=span.span_id,
        is_call=is_model_call(node.kind, span.step_kind),
        has_usage=_has_usage(span),
        is_served=span.replayed,
        input_tokens=span.input_tokens,
        output_tokens=span.output_tokens,
        cost_usd=span.cost_usd,
        start_unix_nano=span.start_time_unix_nano,
        duration_ns=span.duration_ns,
        scope_name=span.scope_name,
        request_model=span.request_model,
        response_model=span.response_model,
        response_id=span.response_id,
    )


def _has_usage(span: SpanRow) -> bool:
    return span.input_tokens is not None or span.output_tokens is not None or span.reported_cost_usd is not None


def _sum_known(column: Iterable[Any]) -> Any:
    known = [number for number in column if number is not None]
    return sum(known) if known else None


def _plus(total: Number | None, number: Number | None) -> Number | None:
    if total is None or number is None:
        return number if total is None else total
    return total + number
