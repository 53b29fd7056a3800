"""A run's summary from its own tree: what the list of runs says of it, without another question to the store. Pure.

tree, totals → **summary** → nodes → routes/runs.py
"""

from backtrail import semconv
from backtrail_query.totals import Totals
from backtrail_query.tree import Tree
from backtrail_store.rows import RunRow, RunStatus


def summarize(tree: Tree, totals: Totals, status: RunStatus) -> RunRow:
    root = tree.root.span
    return RunRow(
        run_id=root.trace_id,
        root_span_id=root.span_id,
        name=root.name,
        status=status,
        start_time_unix_nano=root.start_time_unix_nano,
        duration_ns=root.duration_ns,
        service_name=root.service_name,
        query=root.query,
        conversation_id=root.conversation_id,
        user_id=root.user_id,
        environment=root.environment,
        replay_of=str(root.attributes.get(semconv.REPLAY_OF, "")),
        replay_mode=str(root.attributes.get(semconv.REPLAY_MODE, "")),
        error_type=root.error_type,
        error_message=root.status_message,
        span_count=len(tree.parent_ids),
        agent_count=sum(node.kind == "agent" for node in tree.nodes),
        step_count=totals.step_count,
        error_count=totals.error_count,
        replayed_count=totals.replayed_count,
        lost_count=tree.lost_count,
        llm_calls=totals.llm_calls,
        calls_told_again=totals.calls_told_again,
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
        cost_usd=totals.cost_usd,
        unpriced_calls=totals.unpriced_calls,
    )
