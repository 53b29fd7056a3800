"""A run from its root span and what its spans add up to. Pure, but for the clock that tells silence.

get_roots.sql, run_totals.sql → **run_rows** → reader
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from backtrail_store.call_spans import CallSpan
from backtrail_store.model_calls import count_once
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
    spans = _call_spans(totals)
    counting = count_once(spans, dict(zip(totals["span_ids"], totals["parent_ids"], strict=True)))
    calls = [span for span in spans if span.span_id in counting.counted]
    costs = [call.cost_usd for call in calls if call.cost_usd is not None]
    return {
        "llm_calls": len(calls),
        "calls_told_again": len(counting.same_as),
        "input_tokens": _sum_known(call.input_tokens for call in calls),
        "output_tokens": _sum_known(call.output_tokens for call in calls),
        "cost_usd": sum(costs) if costs else None,
        "unpriced_calls": len(calls) - len(costs),
    }


def _call_spans(totals: Row) -> list[CallSpan[int]]:
    calls, tellings = totals["calls"], totals["tellings"]
    if not tellings:
        return [CallSpan(*call) for call in calls]
    return [CallSpan(*call, *telling) for call, telling in zip(calls, tellings, strict=True)]


def _sum_known(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


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
