"""A run as the API tells it: its summary, its agents, its tree.

tree, totals, summary → **nodes** → routes/runs.py
"""

from collections.abc import Mapping, Sequence

from backtrail import semconv
from backtrail_query.log_views import by_span, log_note
from backtrail_query.records import read_agent
from backtrail_query.summary import summarize
from backtrail_query.totals import (
    Totals,
    Usage,
    count_calls,
    says_of_usage,
    sum_agents,
    sum_below,
    sum_run,
    why_not_counted,
)
from backtrail_query.tree import Tree, TreeNode, end_status
from backtrail_query.views import JsonObject, payload_view, rfc3339, run_view, usd
from backtrail_store.log_rows import LogRow
from backtrail_store.model_calls import Counting
from backtrail_store.rows import RunStatus, SpanRow


def run_with_tree(tree: Tree, status: RunStatus, logs: Sequence[LogRow] = ()) -> JsonObject:
    attributes = tree.root.span.attributes
    calls = count_calls(tree)
    totals = sum_run(tree, calls)
    is_running = status == "running"
    beside = by_span(logs)
    in_tree = {node.span.span_id for node in tree.nodes}
    return {
        **run_view(summarize(tree, totals, status)),
        "input": payload_view(attributes.get(semconv.RUN_INPUT)),
        "result": payload_view(attributes.get(semconv.RUN_RESULT)),
        "error": payload_view(attributes.get(semconv.RUN_ERROR)),
        "agents": _agent_views(tree, calls, is_running=is_running),
        "steps_total": totals.step_count,
        "totals": _totals_view(totals),
        "records": dict(tree.records),
        "tree": _tree_view(tree, calls, beside, is_running=is_running),
        "logs": [log_note(log) for log in logs if log.span_id not in in_tree],
    }


def _agent_views(tree: Tree, calls: Counting[str], *, is_running: bool) -> list[JsonObject]:
    totals = sum_agents(tree, calls)
    return [
        _agent_view(node.span, totals[node.span.span_id], is_running=is_running)
        for node in tree.nodes
        if node.kind == "agent"
    ]


def _agent_view(span: SpanRow, totals: Totals, *, is_running: bool) -> JsonObject:
    agent = read_agent(span)
    return {
        "span_id": span.span_id,
        "agent_key": agent.agent_key or None,
        "name": agent.name,
        "path": agent.path,
        "parent_key": agent.parent_key,
        "depth": agent.depth,
        "is_default": agent.is_default,
        "status": _status(span, is_running=is_running),
        "start_time": rfc3339(span.start_time_unix_nano),
        "duration_ns": span.duration_ns,
        "task_id": span.task_id or None,
        "parent_task_id": span.parent_task_id or None,
        **_totals_view(totals),
    }


def _totals_view(totals: Totals) -> JsonObject:
    return {**totals.as_json(), "cost_usd": usd(totals.cost_usd)}


def _tree_view(tree: Tree, calls: Counting[str], logs: Mapping[str, list[LogRow]], *, is_running: bool) -> JsonObject:
    sums = sum_below(tree, calls)
    views: dict[str, JsonObject] = {}
    for node in tree.nodes:
        view = _node_view(node.span, is_running=is_running)
        view["kind"], view["is_orphan"] = node.kind, node.is_orphan
        view["logs"] = [log_note(log) for log in logs.get(node.span.span_id, ())]
        if node.kind in ("run", "agent"):
            sum_ = sums.get(node.span.span_id, Usage())
            view |= {**sum_._asdict(), "cost_usd": usd(sum_.cost_usd)}
        view |= _how_counted(node, calls)
        views[node.span.span_id] = view
    for node in tree.nodes:
        views[node.span.span_id]["children"] = [views[child.span.span_id] for child in node.children]
    return views[tree.root.span.span_id]


def _node_view(span: SpanRow, *, is_running: bool) -> JsonObject:
    return {
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id or None,
        "step_kind": span.step_kind or None,
        "name": span.name,
        "agent_name": span.agent_name or None,
        "status": _status(span, is_running=is_running),
        "start_time": rfc3339(span.start_time_unix_nano),
        "duration_ns": span.duration_ns,
        "is_pending": span.is_pending,
        "request_model": span.request_model or None,
        "input_tokens": span.input_tokens,
        "output_tokens": span.output_tokens,
        "cost_usd": usd(span.cost_usd),
        "replayed": span.replayed,
        "error_type": span.error_type or None,
        "error_message": span.status_message or None,
        "step_key": span.step_key or None,
    }


def _how_counted(node: TreeNode, calls: Counting[str]) -> JsonObject:
    why_not = why_not_counted(node, calls) if says_of_usage(node) else None
    return {
        "counted": why_not is None if says_of_usage(node) else None,
        "not_counted_because": why_not,
        "same_call_as": calls.same_as.get(node.span.span_id),
    }


def _status(span: SpanRow, *, is_running: bool) -> RunStatus:
    if span.is_pending:
        return "running" if is_running else "incomplete"
    return end_status(span)
