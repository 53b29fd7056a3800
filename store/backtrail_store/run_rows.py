"""A run from its root span and what its spans add up to. Pure, but for the clock that tells silence.

get_roots.sql, run_totals.sql → **run_rows** → reader
"""

import time
from collections.abc import Mapping
from typing import Any

from backtrail_store.model_calls import Candidate, counted_calls
from backtrail_store.rows import RunRow, RunStatus

Row = Mapping[str, Any]

SILENCE_SECONDS = 60
_COUNTS = ("span_count", "agent_count", "step_count", "error_count", "replayed_count", "lost_count")


def run_row(root: Row, totals: Row, *, silence_seconds: int) -> RunRow:
    return RunRow(
        run_id=root["trace_id"],
        root_span_id=root["span_id"],
        name=root["name"],
        status=_run_status(root, totals, silence_seconds),
        start_time_unix_nano=root["start_time_unix_nano"],
        duration_ns=root["duration_ns"],
        service_name=root["service_name"],
        query=root["query"],
        conversation_id=root["conversation_id"],
        user_id=root["user_id"],
        environment=root["environment"],
        replay_of=root["replay_of"],
        replay_mode=root["replay_mode"],
        error_type=root["error_type"],
        error_message=root["status_message"],
        **{name: totals[name] for name in _COUNTS},
        **_usage(totals),
    )


def _usage(totals: Row) -> dict[str, Any]:
    """The tokens and cost of the model calls that count; None where none of them said."""
    candidates = [Candidate(*call[:4]) for call in totals["calls"]]
    parents = dict(zip(totals["span_ids"], totals["parent_ids"], strict=True))
    counted = counted_calls(candidates, parents)
    calls = [call for call in totals["calls"] if call[0] in counted]
    inputs, outputs, costs = ([call[part] for call in calls if call[part] is not None] for part in (4, 5, 6))
    return {
        "llm_calls": len(calls),
        "input_tokens": sum(inputs) if inputs else None,
        "output_tokens": sum(outputs) if outputs else None,
        "cost_usd": sum(costs) if costs else None,
        "unpriced_calls": len(calls) - len(costs),
    }


def _run_status(root: Row, totals: Row, silence_seconds: int) -> RunStatus:
    if root["is_pending"]:
        return open_status(totals["last_received_unix_nano"], silence_seconds)
    if root["status"] in ("completed", "failed", "cancelled"):
        status: RunStatus = root["status"]
        return status
    return "failed" if root["status_code"] == "error" else "completed"


def open_status(last_received_unix_nano: int, silence_seconds: int) -> RunStatus:
    """Of a run without an end: it runs until nothing has been received of it for so long, by the server's clock."""
    return "incomplete" if time.time_ns() - last_received_unix_nano > silence_seconds * 10**9 else "running"
