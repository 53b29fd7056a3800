"""Tokens, cost and time of a run and of each agent in it. Pure.

    tree → **totals** → routes/runs.py

Only model calls count, each once: of two nested spans that describe one call the innermost with usage counts, an
agent's own sum only does where no model call was recorded at all, a step answered from the record cost nothing, and
a call still open is not known yet.
Missing is not zero: a sum of nothing is None, and calls without a price are told apart.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from backtrail_query.tree import Tree, TreeNode
from backtrail_store.model_calls import Candidate, counted_calls

MODEL_STEP_KINDS = frozenset({"llm", "embedding", "reranker"})
MODEL_OPERATIONS = frozenset({"chat", "text_completion", "generate_content", "embeddings"})


class Usage(NamedTuple):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(slots=True, kw_only=True)
class Totals:
    step_count: int = 0
    error_count: int = 0
    replayed_count: int = 0
    llm_calls: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    unpriced_calls: int = 0
    llm_duration_ns: int = 0
    tool_calls: int = 0
    tool_duration_ns: int = 0

    def add(self, node: TreeNode, *, is_counted_call: bool, is_told_again: bool) -> None:
        span = node.span
        self.step_count += node.kind == "step"
        # A try that failed is the step's failure told again, or none at all if the next one succeeded.
        self.error_count += span.status_code == "error" and node.kind != "attempt"
        self.replayed_count += span.replayed
        if span.is_pending or span.replayed:
            return
        if span.step_kind == "tool" and not is_told_again:
            self.tool_calls += 1
            self.tool_duration_ns += span.duration_ns
        if not is_counted_call:
            return
        self.llm_calls += 1
        self.llm_duration_ns += span.duration_ns
        self.input_tokens = _plus(self.input_tokens, span.input_tokens)
        self.output_tokens = _plus(self.output_tokens, span.output_tokens)
        if span.cost_usd is None:
            self.unpriced_calls += 1
        else:
            self.cost_usd = span.cost_usd + (self.cost_usd or 0.0)

    def as_json(self) -> dict[str, int | float | None]:
        return {name: getattr(self, name) for name in _TOTALS}


_TOTALS = [field.name for field in fields(Totals)]


def sum_run(tree: Tree, counted: Set[str]) -> Totals:
    """The whole run; `counted` are the calls that count_calls found."""
    totals = Totals()
    told_again = tools_told_again(tree)
    for node in tree.nodes:
        span_id = node.span.span_id
        totals.add(node, is_counted_call=span_id in counted, is_told_again=span_id in told_again)
    return totals


def sum_agents(tree: Tree, counted: Set[str]) -> dict[str, Totals]:
    """For each agent's span id what happened in it, without the agents it delegated to: these add up to the run."""
    agents: dict[str, Totals] = {}
    waiting = [(tree.root, agents.setdefault(tree.root.span.span_id, Totals()))]
    told_again = tools_told_again(tree)
    while waiting:
        node, totals = waiting.pop()
        span_id = node.span.span_id
        if node.kind == "agent":
            totals = agents.setdefault(span_id, Totals())
        totals.add(node, is_counted_call=span_id in counted, is_told_again=span_id in told_again)
        waiting.extend((child, totals) for child in node.children)
    return agents


def sum_below(tree: Tree, counted: Set[str]) -> dict[str, Usage]:
    """For each span id the tokens and cost of the counted calls in it and below it, where there are any."""
    sums: dict[str, Usage] = {}
    for node in reversed(tree.nodes):
        span = node.span
        parts = [sums[child.span.span_id] for child in node.children if child.span.span_id in sums]
        if span.span_id in counted:
            parts.append(Usage(span.input_tokens, span.output_tokens, span.cost_usd))
        if parts:
            sums[span.span_id] = Usage(*(_sum_known(column) for column in zip(*parts, strict=True)))
    return sums


def count_calls(tree: Tree) -> set[str]:
    """Span ids of the model calls that count, one for each real call. Who lies within whom is what the spans say, as
    for the list of runs: the tree hangs some of them elsewhere."""
    candidates = [
        Candidate(node.span.span_id, is_model_call(node), _has_usage(node), node.span.replayed)
        for node in tree.nodes
        if is_model_call(node) or (_ran(node) and _has_usage(node))
    ]
    return counted_calls(candidates, tree.parent_ids)


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


def is_model_call(node: TreeNode) -> bool:
    """A call to a model that ended, be it answered from the record."""
    if node.span.is_pending or node.kind in ("run", "agent", "attempt"):
        return False
    return node.span.step_kind in MODEL_STEP_KINDS or node.span.operation_name in MODEL_OPERATIONS


def _ran(node: TreeNode) -> bool:
    return not node.span.is_pending and not node.span.replayed


def _has_usage(node: TreeNode) -> bool:
    span = node.span
    return span.input_tokens is not None or span.output_tokens is not None or span.reported_cost_usd is not None


def _sum_known(column: Iterable[Any]) -> Any:
    known = [number for number in column if number is not None]
    return sum(known) if known else None


def _plus(total: int | None, count: int | None) -> int | None:
    return total if count is None else count + (total or 0)
