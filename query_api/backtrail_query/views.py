"""Rows → the plain dicts that become JSON.

    reader → rows → **views** → routes → JSON

Dicts and not models: a trace may hold ten thousand spans, and checking each against the contract we wrote
ourselves costs more than reading them. `models.py` documents the same shapes, and the tests compare the two.
Attribute values keep their JSON type; bytes are `{"$bytes": base64}`, NaN and infinities are strings.
"""

from base64 import b64encode
from datetime import UTC, datetime
from functools import lru_cache

from fastapi import Response
from pydantic_core import from_json, to_json

from backtrail_store.rows import AttributeValue, EventRow, LinkRow, RunRow, SpanRow

JsonObject = dict[str, object]


def json_response(answer: object) -> Response:
    return Response(to_json(answer, inf_nan_mode="strings"), media_type="application/json")


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
        "llm_calls": run.llm_calls,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost_usd": run.cost_usd,
        "unpriced_calls": run.unpriced_calls,
    }


def span_view(span: SpanRow) -> JsonObject:
    start = span.start_time_unix_nano
    end = start + span.duration_ns
    return {
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id or None,
        "name": span.name,
        "kind": span.kind,
        "status": {"code": span.status_code, "message": span.status_message},
        "start_time_unix_nano": start,
        "end_time_unix_nano": end,
        "start_time": rfc3339(start),
        "end_time": rfc3339(end),
        "duration_ns": span.duration_ns,
        "is_pending": span.is_pending,
        "service_name": span.service_name,
        "scope": {"name": span.scope_name, "version": span.scope_version},
        "trace_state": span.trace_state,
        "flags": span.flags,
        "backtrail_kind": span.backtrail_kind or None,
        "step_kind": span.step_kind or None,
        "operation_name": span.operation_name or None,
        "agent_name": span.agent_name or None,
        "agent_key": span.agent_key or None,
        "tool_name": span.tool_name or None,
        "query": span.query or None,
        "task_id": span.task_id or None,
        "parent_task_id": span.parent_task_id or None,
        "task_chain": span.task_chain,
        "depth": span.depth,
        "retry_count": span.retry_count,
        "conversation_id": span.conversation_id or None,
        "user_id": span.user_id or None,
        "environment": span.environment or None,
        "provider_name": span.provider_name or None,
        "request_model": span.request_model or None,
        "response_model": span.response_model or None,
        "input_tokens": span.input_tokens,
        "output_tokens": span.output_tokens,
        "cache_read_input_tokens": span.cache_read_input_tokens,
        "cache_write_input_tokens": span.cache_write_input_tokens,
        "reasoning_output_tokens": span.reasoning_output_tokens,
        "reported_cost_usd": span.reported_cost_usd,
        "cost_usd": span.cost_usd,
        "error_type": span.error_type or None,
        "step_key": span.step_key or None,
        "seq": span.seq,
        "replayed": span.replayed,
        "attributes": attributes_view(span.attributes),
        "resource": attributes_view(span.resource),
        "events": [_event_view(event) for event in span.events],
        "links": [_link_view(link) for link in span.links],
    }


def attributes_view(attributes: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    if bytes not in map(type, attributes.values()):
        return attributes
    return {
        key: {"$bytes": b64encode(value).decode()} if isinstance(value, bytes) else value
        for key, value in attributes.items()
    }


def payload_view(value: AttributeValue) -> object:
    """A payload attribute as the JSON it holds; text that is no JSON stands as it is."""
    if not isinstance(value, str):
        return value
    try:
        decoded: object = from_json(value, allow_inf_nan=False)
    except ValueError:
        return value
    return decoded


def _event_view(event: EventRow) -> JsonObject:
    return {
        "time_unix_nano": event.time_unix_nano,
        "time": rfc3339(event.time_unix_nano),
        "name": event.name,
        "attributes": attributes_view(event.attributes),
    }


def _link_view(link: LinkRow) -> JsonObject:
    return {
        "trace_id": link.trace_id,
        "span_id": link.span_id,
        "trace_state": link.trace_state,
        "attributes": attributes_view(link.attributes),
    }
