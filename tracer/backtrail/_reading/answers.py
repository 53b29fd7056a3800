"""What the query API answers, as objects. Unknown members are ignored: a newer server may say more.

    query API → JSON → **answers** → client → cli, your program

Values (`input`, `result`, `state.values`) are in the codec's encoding: plain JSON, tagged where JSON has no word.
"""

from datetime import date, datetime
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

RunStatus: TypeAlias = Literal["running", "completed", "failed", "cancelled", "incomplete"]
TraceKind: TypeAlias = Literal["run", "agent", "any"]
StateView: TypeAlias = Literal["actual", "effective"]
Signal: TypeAlias = Literal["traces", "logs"]
OtlpForm: TypeAlias = Literal["json", "protobuf"]

CONTENT_TYPES: dict[OtlpForm, str] = {"json": "application/json", "protobuf": "application/x-protobuf"}


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")


class RunSummary(Answer):
    run_id: str
    name: str
    status: RunStatus
    start_time: datetime
    end_time: datetime
    start_time_unix_nano: int
    duration_ns: int
    service_name: str | None = None
    query: str | None = None
    conversation_id: str | None = None
    user_id: str | None = None
    environment: str | None = None
    replay_of: str | None = None
    replay_mode: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    span_count: int
    agent_count: int
    step_count: int
    error_count: int
    replayed_count: int
    lost_count: int = 0
    llm_calls: int
    calls_told_again: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    unpriced_calls: int = 0


class RunPage(Answer):
    runs: list[RunSummary]
    next_cursor: str | None = None


class LogNote(Answer):
    """A log record in short, as a tree has it; `body` is None for what is long or a message."""

    time: datetime
    severity_number: int
    severity_text: str
    event_name: str | None = None
    body: Any = None


class LogRecord(LogNote):
    """One log record as it was sent, every value in its own type; bytes are `{"$bytes": base64}`."""

    trace_id: str | None = None
    span_id: str | None = None
    time_unix_nano: int
    observed_time_unix_nano: int | None = None
    attributes: dict[str, Any]
    service_name: str
    resource: dict[str, Any]


class LogPage(Answer):
    logs: list[LogRecord]
    next_cursor: str | None = None


class Node(Answer):
    """A span in the tree of a run; an agent's tokens and cost are those of everything below it.

    `counted` says whether what the span itself tells is in the run's totals: a call that two spans tell is in them
    once. None for what is no model call and carries no usage.
    """

    span_id: str
    kind: str
    step_kind: str | None = None
    name: str
    agent_name: str | None = None
    status: RunStatus
    duration_ns: int
    is_pending: bool
    is_orphan: bool = False
    request_model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    counted: bool | None = None
    not_counted_because: str | None = None
    same_call_as: str | None = None
    replayed: bool = False
    error_type: str | None = None
    error_message: str | None = None
    step_key: str | None = None
    logs: list[LogNote] = []
    children: "list[Node]"


class Agent(Answer):
    agent_key: str | None = None
    name: str
    parent_key: str | None = None
    depth: int
    is_default: bool
    status: RunStatus
    duration_ns: int
    step_count: int
    llm_calls: int
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class Run(RunSummary):
    input: Any = None
    result: Any = None
    error: Any = None
    agents: list[Agent]
    steps_total: int
    tree: Node
    logs: list[LogNote] = []


class Status(Answer):
    code: str
    message: str


class Cost(Answer):
    """What a call cost, in parts that add up to the total, and who said so.

    A reported total has no parts; `computed` is what its tokens cost by the price list.
    """

    input: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    output: float | None = None
    reasoning: float | None = None
    request: float | None = None
    total: float | None = None
    computed: float | None = None
    source: Literal["reported", "user", "genai-prices"] | None = None


class Span(Answer):
    """One span as it was sent, every attribute in its own type.

    Bytes are `{"$bytes": base64}`, NaN and the infinities `{"$double": "NaN"}`.
    """

    span_id: str
    parent_span_id: str | None = None
    name: str
    kind: str
    status: Status
    start_time_unix_nano: int
    end_time_unix_nano: int
    duration_ns: int
    is_pending: bool
    service_name: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[dict[str, Any]]
    links: list[dict[str, Any]]
    logs: list[LogRecord] = []
    cost_usd: float | None = None
    cost: Cost = Cost()


class Trace(Answer):
    trace_id: str
    spans: list[Span]
    logs: list[LogRecord] = []


class ModelTier(Answer):
    """What all tokens of a call with more input tokens than `above` cost."""

    above: int
    input: float
    output: float
    cache_read: float
    cache_write: float
    reasoning: float


class ModelPrice(Answer):
    """US dollars for a million tokens, and for a request, now; `origin` is your pattern, or the package's version."""

    source: Literal["user", "genai-prices"]
    origin: str
    valid_from: date | None = None
    input: float
    output: float
    cache_read: float
    cache_write: float
    reasoning: float
    request: float = 0
    tiers: list[ModelTier] = []


class Model(Answer):
    """What was used of a model. `waiting_count` is of calls with usage whose price nobody knows."""

    provider: str | None = None
    model: str | None = None
    span_count: int
    usage_count: int
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    waiting_count: int
    last_time: datetime
    price: ModelPrice | None = None


class ModelList(Answer):
    models: list[Model]


class Part(BaseModel):
    """A part of a message: beside `type` the members of its type, `content`, `arguments`, `response`, `uri`, say."""

    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="strings")

    type: str

    def get(self, name: str) -> Any:
        """The member of this name, None if it has none."""
        return (self.model_extra or {}).get(name)


class Message(Answer):
    role: str
    parts: list[Part]
    name: str | None = None
    finish_reason: str | None = None


class Tool(Answer):
    """What a tool span did; `called_by` is the span of the model call that asked for it."""

    name: str | None = None
    call_id: str | None = None
    arguments: Any = None
    result: Any = None
    called_by: str | None = None


class SpanDetail(Span):
    """A span with its messages in one shape, whoever recorded it; `messages_from` says where each was found."""

    input_messages: list[Message]
    output_messages: list[Message]
    system_instructions: list[Part] = []
    tool_definitions: list[dict[str, Any]] = []
    tool: Tool | None = None
    retrieval: dict[str, Any] | None = None
    embedding_input: list[str] = []
    messages_from: dict[str, dict[str, str]] = {}
    dropped_messages: int = 0


class Turn(Answer):
    """One model call: the messages it was given that no earlier one was, and what it answered."""

    span_id: str
    name: str
    agent_name: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    start_time: datetime
    duration_ns: int
    is_pending: bool
    error_type: str | None = None
    new_messages: list[Message]
    seen_count: int
    output_messages: list[Message]


class Conversation(Answer):
    trace_id: str
    turns: list[Turn]


class Checkpoint(Answer):
    checkpoint_id: str
    name: str | None = None
    seq: int
    after_step_key: str | None = None
    root: str | None = None
    auto: bool
    extra: Any = None
    time: datetime


class CheckpointList(Answer):
    checkpoints: list[Checkpoint]


class StateKey(Answer):
    scope: str
    key: str


class State(Answer):
    """What was known at a point: `values` by scope (`run`, or an agent's key) and key."""

    run_id: str
    at: str
    at_seq: int
    view: StateView
    values: dict[str, dict[str, Any]]
    root: str | None = None
    excluded: list[str] = []
    conflicts: list[StateKey] = []
    truncated: list[StateKey] = []
