"""Rows → the plain dicts that become JSON.

    reader → rows → **views** → routes → JSON

Dicts and not models: a run may hold ten thousand spans, and checking each against the contract we wrote
ourselves costs more than reading them. `models.py` documents the same shapes, and the tests compare the two.
"""

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from fastapi import Response
from pydantic_core import from_json, to_json

from backtrail_store.rows import AttributeValue, RunRow
from backtrail_store.values import json_value

JsonObject = dict[str, object]


def json_response(answer: object) -> Response:
    return Response(to_json(answer, inf_nan_mode="strings"), media_type="application/json")


def usd(amount: Decimal | None) -> float | None:
    """A number of JSON: up to 8192 dollars the shortest text of the nearest double has all twelve decimals."""
    return None if amount is None else float(amount)


def rfc3339(unix_nano: int) -> str:
    seconds, nanoseconds = divmod(unix_nano, 1_000_000_000)
    return f"{_whole_seconds(seconds)}.{nanoseconds:09d}Z"


@lru_cache(maxsize=4096)
def _whole_seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def run_view(run: RunRow) -> JsonObject:
    end = run.start_time_unix_nano + run.duration_ns
    return {
        "run_id": run.run_id,
        "root_span_id": run.root_span_id,
        "name": run.name,
        "status": run.status,
        "start_time_unix_nano": run.start_time_unix_nano,
        "end_time_unix_nano": end,
        "start_time": rfc3339(run.start_time_unix_nano),
        "end_time": rfc3339(end),
        "duration_ns": run.duration_ns,
        "service_name": run.service_name or None,
        "query": run.query or None,
        "conversation_id": run.conversation_id or None,
        "user_id": run.user_id or None,
        "environment": run.environment or None,
        "replay_of": run.replay_of or None,
        "replay_mode": run.replay_mode or None,
        "error_type": run.error_type or None,
        "error_message": run.error_message or None,
        "span_count": run.span_count,
        "agent_count": run.agent_count,
        "step_count": run.step_count,
        "error_count": run.error_count,
        "replayed_count": run.replayed_count,
        "lost_count": run.lost_count,
        "llm_calls": run.llm_calls,
        "calls_told_again": run.calls_told_again,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost_usd": usd(run.cost_usd),
        "unpriced_calls": run.unpriced_calls,
    }


def payload_view(value: AttributeValue) -> object:
    """A payload attribute as the JSON it holds; text that is no JSON stands as it is."""
    if not isinstance(value, str):
        return json_value(value)
    try:
        decoded: object = from_json(value, allow_inf_nan=False)
    except ValueError:
        return value
    return decoded
