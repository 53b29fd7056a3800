"""The JSON contract of runs, traces and checkpoints, as OpenAPI shows it.

    views ──same shapes──▶ **models** → /openapi.json

The routes answer with plain dicts (see views.py); these models say what is in them, and the tests check that every
answer fits.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from backtrail_query.totals import WhyNot
from backtrail_store.rows import RunStatus, SpanKind, StatusCode

UnixNano = Annotated[int, Field(description="nanoseconds since 1970, an integer", examples=[1767225600000000000])]
Time = Annotated[str, Field(description="RFC 3339, nine decimals, UTC", examples=["2026-01-01T00:00:00.000000000Z"])]
HexId = Annotated[str, Field(examples=["7d3c1a4e9b2f4c0d8e6a5b1f0c9d2e3a"])]
StepStatusView = Literal["completed", "failed", "cancelled", "running", "incomplete"]
CallsToldAgain = Annotated[
    int, Field(description="spans left out because they tell of a call that another span was counted for")
]
NodeKind = Annotated[str, Field(description="run, agent, step, attempt; span for what others emitted")]


class View(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RunSummary(View):
    run_id: HexId
    root_span_id: str
    name: str
    status: RunStatus
    start_time_unix_nano: UnixNano
    end_time_unix_nano: UnixNano
    start_time: Time
    end_time: Time
    duration_ns: int
    service_name: str | None
    query: Annotated[str | None, Field(description="the user's original words")]
    conversation_id: str | None
    user_id: str | None
    environment: str | None
    replay_of: Annotated[str | None, Field(description="the run this one replays")]
    replay_mode: str | None
    error_type: str | None
    error_message: str | None
    span_count: int
    agent_count: int
    step_count: int
    error_count: int
    replayed_count: Annotated[int, Field(description="steps answered from the record")]
    lost_count: Annotated[int, Field(description="spans that could not be delivered: with any, the run is not whole")]
    llm_calls: Annotated[int, Field(description="model calls that really ran, each once")]
    calls_told_again: CallsToldAgain
    input_tokens: Annotated[int | None, Field(description="null if no call reported any: missing is not zero")]
    output_tokens: int | None
    cost_usd: float | None
    unpriced_calls: Annotated[int, Field(description="model calls whose cost is not known")]


class RunPage(View):
    runs: list[RunSummary]
    next_cursor: Annotated[str | None, Field(description="hand it back as `cursor` for the next page")]


class TotalsView(View):
    """What happened below; model calls count once, replayed ones not at all."""

    step_count: int
    error_count: int
    replayed_count: int
    llm_calls: int
    calls_told_again: CallsToldAgain
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    unpriced_calls: int
    llm_duration_ns: int
    tool_calls: int
    tool_duration_ns: int


class LogNote(View):
    """A log record in short; its payloads and attributes are in the trace and under /api/v1/logs."""

    time: Time
    severity_number: int
    severity_text: str
    event_name: str | None
    body: Annotated[JsonValue, Field(description="null for what is long or a message")]


class Node(View):
    span_id: str
    parent_span_id: str | None
    kind: NodeKind
    step_kind: str | None
    name: str
    agent_name: str | None
    status: Annotated[StepStatusView, Field(description="running while the span is open")]
    start_time: Time
    duration_ns: int
    is_pending: bool
    is_orphan: Annotated[bool, Field(description="its parent has not arrived; shown where it fits best")]
    request_model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    counted: Annotated[
        bool | None,
        Field(description="whether its usage is in the totals; null for what is no model call and carries none"),
    ]
    not_counted_because: WhyNot | None
    same_call_as: Annotated[str | None, Field(description="the span by which the same call was counted")]
    replayed: bool
    error_type: str | None
    error_message: str | None
    step_key: str | None
    logs: list[LogNote]
    children: "list[Node]"


class AgentView(TotalsView):
    """One agent; its numbers leave out the agents it delegated to, so that all agents add up to the run."""

    span_id: str
    agent_key: str | None
    name: str
    path: Annotated[JsonValue, Field(examples=[[["planner", 0], ["researcher", 1]]])]
    parent_key: str | None
    depth: int
    is_default: bool
    status: StepStatusView
    start_time: Time
    duration_ns: int
    task_id: str | None
    parent_task_id: str | None


class RunView(RunSummary):
    input: JsonValue
    result: JsonValue
    error: JsonValue
    agents: list[AgentView]
    steps_total: int
    totals: TotalsView
    records: Annotated[dict[str, int], Field(examples=[{"state": 12, "checkpoint": 3, "effect": 1, "process": 1}])]
    tree: Node
    logs: Annotated[list[LogNote], Field(description="log records of the run whose span is not in the tree")]
    has_more_logs: Annotated[bool, Field(description="there are more than are shown: see /api/v1/logs")]


class StatusView(View):
    code: StatusCode
    message: str


class ScopeView(View):
    name: str
    version: str
    schema_url: str
    dropped_attributes_count: int
    attributes: dict[str, JsonValue]


class EventView(View):
    time_unix_nano: UnixNano
    time: Time
    name: str
    attributes: dict[str, JsonValue]
    dropped_attributes_count: int


class LinkView(View):
    trace_id: HexId
    span_id: str
    trace_state: str
    attributes: dict[str, JsonValue]
    dropped_attributes_count: int
    flags: int


class LogView(View):
    trace_id: HexId | None
    span_id: str | None
    time_unix_nano: Annotated[int, Field(description="when it happened, or else was observed")]
    time: Time
    observed_time_unix_nano: int | None
    observed_time: Time | None
    severity_number: Annotated[int, Field(description="1 to 24, 0 if it has none")]
    severity_text: str
    event_name: Annotated[str | None, Field(examples=["gen_ai.client.inference.operation.details"])]
    body: Annotated[JsonValue, Field(description="any value, written as attributes are")]
    attributes: dict[str, JsonValue]
    dropped_attributes_count: int
    flags: int
    service_name: str
    scope: ScopeView
    resource: dict[str, JsonValue]
    resource_schema_url: str
    resource_dropped_attributes_count: int


Usd = Annotated[float | None, Field(description="US dollars, exact to twelve decimals; null is unknown, not nothing")]


class CostView(View):
    """What a call cost, in parts that add up to the total; docs/cost.md says how it is reckoned."""

    input: Annotated[Usd, Field(description="of input that was not cached")]
    cache_read: Usd
    cache_write: Usd
    output: Annotated[Usd, Field(description="of output without reasoning")]
    reasoning: Usd
    request: Annotated[Usd, Field(description="what is paid for the request itself")]
    total: Usd
    computed: Annotated[Usd, Field(description="by the tokens and their price, also where a cost was reported")]
    source: Annotated[
        Literal["reported", "user", "genai-prices"] | None,
        Field(description="the sender, a price that a user gave, or the package's; null where nobody knows"),
    ]


class SpanView(View):
    span_id: str
    parent_span_id: str | None
    name: str
    kind: SpanKind
    status: StatusView
    start_time_unix_nano: UnixNano
    end_time_unix_nano: UnixNano
    start_time: Time
    end_time: Time
    duration_ns: int
    is_pending: bool
    service_name: str
    scope: ScopeView
    trace_state: str
    flags: int
    resource_schema_url: str
    dropped_attributes_count: Annotated[int, Field(description="what the sender left out, and the limits here did")]
    dropped_events_count: int
    dropped_links_count: int
    resource_dropped_attributes_count: int
    backtrail_kind: str | None
    step_kind: str | None
    dialect: Annotated[str | None, Field(description="whose conventions the span follows, see docs/conventions.md")]
    operation_name: str | None
    workflow_name: str | None
    agent_name: str | None
    agent_id: str | None
    agent_key: str | None
    tool_name: str | None
    tool_call_id: str | None
    query: str | None
    task_id: str | None
    parent_task_id: str | None
    task_chain: list[str]
    depth: int
    retry_count: int
    conversation_id: str | None
    user_id: str | None
    environment: str | None
    release: str | None
    tags: list[str]
    prompt_name: str | None
    prompt_version: str | None
    provider_name: str | None
    request_model: str | None
    response_model: str | None
    response_id: str | None
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
    cost_usd: float | None
    cost: CostView
    error_type: str | None
    step_key: str | None
    seq: int
    replayed: bool
    attributes: Annotated[
        dict[str, JsonValue],
        Field(
            description="every attribute in its own type: a double has a point or an exponent; bytes are "
            '{"$bytes": base64}, NaN and the infinities {"$double": "NaN"}, an empty value is null',
            examples=[{"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 412}],
        ),
    ]
    resource: dict[str, JsonValue]
    events: list[EventView]
    links: list[LinkView]
    logs: list[LogView]


class TraceView(View):
    trace_id: HexId
    spans: list[SpanView]
    logs: Annotated[list[LogView], Field(description="log records of the trace whose span is not among these")]
    has_more_logs: Annotated[bool, Field(description="there are more than are shown: see /api/v1/logs")]


class LogPage(View):
    logs: list[LogView]
    next_cursor: Annotated[str | None, Field(description="hand it back as `cursor` for the next page")]


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: Annotated[str, Field(examples=["about:blank"])]
    title: Annotated[str, Field(examples=["Not found"])]
    status: Annotated[int, Field(examples=[404])]
    detail: Annotated[
        str, Field(examples=["no run or trace 000000000000000000000000000000ff is stored in this project"])
    ]


class CheckpointView(View):
    checkpoint_id: str
    name: str | None
    seq: int
    after_step_key: str | None
    root: Annotated[str | None, Field(description="hash of the whole state at this point")]
    auto: Annotated[bool, Field(description="taken by Backtrail itself, not by a call of checkpoint()")]
    extra: Annotated[JsonValue, Field(description="what was kept beside the state: checkpoint(extra=…)")] = None
    time_unix_nano: UnixNano
    time: Time


class CheckpointPage(View):
    checkpoints: list[CheckpointView]


class StateKey(View):
    scope: Annotated[str, Field(examples=["run"])]
    key: Annotated[str, Field(examples=["messages"])]


class SnapshotRef(View):
    checkpoint_id: str
    seq: int


class StateAnswer(View):
    run_id: HexId
    at: Annotated[str, Field(examples=["failure"])]
    at_seq: Annotated[int, Field(examples=[41])]
    view: Literal["actual", "effective"]
    values: Annotated[
        dict[str, dict[str, JsonValue]], Field(examples=[{"run": {"iteration": 5, "messages": [{"role": "user"}]}}])
    ]
    root: str | None
    excluded: Annotated[list[str], Field(description="steps whose writes are left out, or that never ended")]
    conflicts: Annotated[list[StateKey], Field(description="keys such a step may have written")]
    truncated: Annotated[list[StateKey], Field(description="keys whose value was too long to record")]
    snapshot: SnapshotRef | None


class Health(View):
    status: Literal["ok"]
