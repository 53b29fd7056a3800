"""What queries return. Field order is column order; the .sql files select in this order.

spans, contents → queries/*.sql → reader → **rows** → routes
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

AttributeValue = str | int | float | bool | bytes | list["AttributeValue"] | dict[str, "AttributeValue"] | None
SpanKind = Literal["unspecified", "internal", "server", "client", "producer", "consumer"]
StatusCode = Literal["unset", "ok", "error"]
RunStatus = Literal["running", "completed", "failed", "cancelled", "incomplete"]
TraceKind = Literal["run", "agent", "any"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    time_unix_nano: int
    name: str
    attributes: dict[str, AttributeValue]
    dropped_attributes_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    trace_id: str
    span_id: str
    trace_state: str
    attributes: dict[str, AttributeValue]
    dropped_attributes_count: int
    flags: int


@dataclass(slots=True)  # not frozen: that would triple the cost of making ten thousand of them
class SpanRow:
    """One span, final or pending, as the newest version in the store says.

    `attributes` holds every attribute in its own type; payload texts are there only if the query asked for
    them (`payloads=True`), else those keys are absent. `missing_payloads` are the keys whose texts were asked for and
    are gone, because texts may age out before their spans do. A pending row has `is_pending`, `duration_ns` 0.
    Token counts are None when the span carried none: missing is not zero.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: SpanKind
    status_code: StatusCode
    status_message: str
    start_time_unix_nano: int
    duration_ns: int
    is_pending: bool
    service_name: str
    scope_name: str
    scope_version: str
    scope_schema_url: str
    resource_schema_url: str
    trace_state: str
    flags: int
    backtrail_kind: str
    step_kind: str
    dialect: str
    operation_name: str
    workflow_name: str
    agent_name: str
    agent_id: str
    agent_key: str
    tool_name: str
    tool_call_id: str
    query: str
    task_id: str
    parent_task_id: str
    task_chain: list[str]
    depth: int
    retry_count: int
    conversation_id: str
    user_id: str
    environment: str
    release: str
    tags: list[str]
    prompt_name: str
    prompt_version: str
    provider_name: str
    request_model: str
    response_model: str
    response_id: str
    finish_reasons: list[str]
    time_to_first_token_ns: int | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int | None
    cache_write_input_tokens: int | None
    reasoning_output_tokens: int | None
    input_audio_tokens: int | None
    output_audio_tokens: int | None
    reported_cost_usd: float | None
    cost_usd: Decimal | None
    error_type: str
    step_key: str
    seq: int
    replayed: bool
    lost: int
    received_unix_nano: int
    dropped_attributes_count: int
    dropped_events_count: int
    dropped_links_count: int
    resource_dropped_attributes_count: int
    scope_dropped_attributes_count: int
    attributes: dict[str, AttributeValue]
    resource: dict[str, AttributeValue]
    scope_attributes: dict[str, AttributeValue]
    events: list[EventRow]
    links: list[LinkRow]
    missing_payloads: list[str] = field(default_factory=list)

    @property
    def end_time_unix_nano(self) -> int:
        return self.start_time_unix_nano + self.duration_ns


@dataclass(slots=True)
class StepRow:
    """A span as far as it takes to know who called whom."""

    span_id: str
    parent_span_id: str
    name: str
    start_time_unix_nano: int
    duration_ns: int
    is_pending: bool
    backtrail_kind: str
    step_kind: str
    agent_name: str
    request_model: str
    response_model: str
    error_type: str
    tool_call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run (a trace seen from its root span) with its totals over the whole trace.

    `status` is the root's own, or from its last sign of life: `running` until nothing has been received of it for the
    store's `silence_seconds`, `incomplete` afterwards. `lost_count` is how many spans its processes had to drop. Costs
    and tokens count model calls that really ran: a step answered from the record and an agent's repeated sum count
    nothing, and `calls_told_again` are the spans that tell of a call another span was counted for. `cost_usd` is None
    if no model call had a known price; `unpriced_calls` says how many had none.
    """

    run_id: str
    root_span_id: str
    name: str
    status: RunStatus
    start_time_unix_nano: int
    duration_ns: int
    service_name: str
    query: str
    conversation_id: str
    user_id: str
    environment: str
    replay_of: str
    replay_mode: str
    error_type: str
    error_message: str
    span_count: int
    agent_count: int
    step_count: int
    error_count: int
    replayed_count: int
    lost_count: int
    llm_calls: int
    calls_told_again: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None
    unpriced_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs: newest first, `start` ≤ start time < `end`; `before` continues a page.

    `kind` is "run" for Backtrail's own, "agent" for traces of others as well in which an agent or a model was at work,
    "any" for every trace there is.
    """

    start: datetime | None = None
    end: datetime | None = None
    kind: TraceKind = "agent"
    status: RunStatus | None = None
    name: str | None = None
    service: str | None = None
    conversation_id: str | None = None
    user_id: str | None = None
    before: tuple[int, str] | None = None  # (start_time_unix_nano, run_id) of the last run already seen
    limit: int = 50
