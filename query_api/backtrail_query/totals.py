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

    def add(self, node: TreeNode, *, is_counted_call: bool) -> None:
        span = node.span
        self.step_count += node.kind == "step"
        self.error_count += span.status_code == "error"
        self.replayed_count += span.replayed
        if span.is_pending or span.replayed:
            return
        if span.step_kind == "tool":
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
    for node in tree.nodes:
        totals.add(node, is_counted_call=node.span.span_id in counted)
    return totals


def sum_agents(tree: Tree, counted: Set[str]) -> dict[str, Totals]:
    """For each agent's span id what happened in it, without the agents it delegated to: these add up to the run."""
    agents: dict[str, Totals] = {}
    waiting = [(tree.root, agents.setdefault(tree.root.span.span_id, Totals()))]
    while waiting:
        node, totals = waiting.pop()
        if node.kind == "agent":
            totals = agents.setdefault(node.span.span_id, Totals())
        totals.add(node, is_counted_call=node.span.span_id in counted)
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


def count_calls(tree: Tree) -> frozenset[str]:
    """Span ids of the model calls that count, one for each real call."""
    nodes = tree.nodes
    calls = {node.span.span_id for node in nodes if is_model_call(node)} or {
        node.span.span_id for node in nodes if _ran(node) and _has_usage(node)
    }
    parents = {child.span.span_id: node for node in nodes for child in node.children}
    wraps_call: set[str] = set()
    wraps_usage: set[str] = set()
    counted: set[str] = set()
    for node in reversed(nodes):
        span_id = node.span.span_id
        is_call, has_usage = span_id in calls, _has_usage(node)
        if is_call and span_id not in (wraps_usage if has_usage else wraps_call):
            counted.add(span_id)
        if parent := parents.get(span_id):
            if is_call or span_id in wraps_call:
                wraps_call.add(parent.span.span_id)
            if (is_call and has_usage) or span_id in wraps_usage:
                wraps_usage.add(parent.span.span_id)
    return frozenset(counted - _wrapped_without_usage(tree, counted))


def is_model_call(node: TreeNode) -> bool:
    """A call to a model that ran and ended."""
    if not _ran(node) or node.kind in ("run", "agent", "attempt"):
        return False
    return node.span.step_kind in MODEL_STEP_KINDS or node.span.operation_name in MODEL_OPERATIONS


def _ran(node: TreeNode) -> bool:
    return not node.span.is_pending and not node.span.replayed


def _wrapped_without_usage(tree: Tree, counted: set[str]) -> set[str]:
    """Calls that report nothing inside a call that reports its usage: the same call, told once."""
    silent: set[str] = set()
    waiting = [(tree.root, False)]
    while waiting:
        node, is_told = waiting.pop()
        span_id = node.span.span_id
        if is_told and span_id in counted and not _has_usage(node):
            silent.add(span_id)
        is_told = is_told or (span_id in counted and _has_usage(node))
        waiting.extend((child, is_told) for child in node.children)
    return silent


def _has_usage(node: TreeNode) -> bool:
    span = node.span
    return span.input_tokens is not None or span.output_tokens is not None or span.reported_cost_usd is not None


def _sum_known(column: Iterable[Any]) -> Any:
    known = [number for number in column if number is not None]
    return sum(known) if known else None


def _plus(total: int | None, count: int | None) -> int | None:
    return total if count is None else count + (total or 0)
