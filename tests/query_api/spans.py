"""Rows as the store would give them, for tests of what is pure."""

from dataclasses import replace
from typing import Any

from backtrail_store.rows import SpanRow

START = 1_767_225_600_000_000_000

_SPAN = SpanRow(
    trace_id="0" * 31 + "1",
    span_id="",
    parent_span_id="",
    name="",
    kind="internal",
    status_code="unset",
    status_message="",
    start_time_unix_nano=START,
    duration_ns=1_000_000,
    is_pending=False,
    service_name="support-bot",
    scope_name="backtrail",
    scope_version="0.1.0",
    scope_schema_url="",
    resource_schema_url="",
    trace_state="",
    flags=1,
    backtrail_kind="",
    step_kind="",
    dialect="",
    operation_name="",
    workflow_name="",
    agent_name="",
    agent_id="",
    agent_key="",
    tool_name="",
    tool_call_id="",
    query="",
    task_id="",
    parent_task_id="",
    task_chain=[],
    depth=0,
    retry_count=0,
    conversation_id="",
    user_id="",
    environment="",
    release="",
    tags=[],
    prompt_name="",
    prompt_version="",
    provider_name="",
    request_model="",
    response_model="",
    response_id="",
    finish_reasons=[],
    time_to_first_token_ns=None,
    input_tokens=None,
    output_tokens=None,
    cache_read_input_tokens=None,
    cache_write_input_tokens=None,
    reasoning_output_tokens=None,
    input_audio_tokens=None,
    output_audio_tokens=None,
    reported_cost_usd=None,
    cost_usd=None,
    error_type="",
    step_key="",
    seq=0,
    replayed=False,
    lost=0,
    received_unix_nano=START,
    dropped_attributes_count=0,
    dropped_events_count=0,
    dropped_links_count=0,
    resource_dropped_attributes_count=0,
    scope_dropped_attributes_count=0,
    attributes={},
    resource={},
    scope_attributes={},
    events=[],
    links=[],
)


def span(span_id: str, parent: str = "", kind: str = "step", *, after_ms: int = 0, **fields: Any) -> SpanRow:
    """A span whose name is its id, `after_ms` after the run began."""
    fields.setdefault("name", span_id)
    return replace(
        _SPAN,
        span_id=span_id,
        parent_span_id=parent,
        backtrail_kind=kind,
        start_time_unix_nano=START + after_ms * 1_000_000,
        **fields,
    )


def llm(span_id: str, parent: str = "run", **fields: Any) -> SpanRow:
    return span(span_id, parent, step_kind="llm", operation_name="chat", **fields)
