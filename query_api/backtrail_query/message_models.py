"""The JSON contract of messages, of single spans and of conversations, as OpenAPI shows it.

message_views ──same shapes──▶ **message_models** → /openapi.json
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.config import JsonDict

from backtrail_query.models import HexId, SpanView, Time, UnixNano, View

EXAMPLE_CALL: JsonDict = {
    "type": "tool_call",
    "id": "call_1",
    "name": "search",
    "arguments": {"q": "lamp"},
    "has_result": True,
    "tool_span_id": "b7ad6b7169203331",
}
EXAMPLE_ANSWER: JsonDict = {
    "role": "assistant",
    "parts": [{"type": "text", "content": "I look it up."}, EXAMPLE_CALL],
    "finish_reason": "tool_call",
}
EXAMPLE_QUESTION: JsonDict = {"role": "user", "parts": [{"type": "text", "content": "Which lamps do you have?"}]}


class PartView(BaseModel):
    """A part of a message; its other members are those of its type, see docs/messages.md."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [EXAMPLE_CALL]})

    type: Annotated[
        str,
        Field(
            description="text, reasoning and refusal {content}; tool_call {id, name, arguments, has_result, "
            "tool_span_id}; tool_call_response {id, response}; blob {modality, mime_type, size, reference}; "
            "uri {uri}; file {file_id}; others as they came",
            examples=["text", "tool_call"],
        ),
    ]


class MessageView(View):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE_ANSWER, EXAMPLE_QUESTION]})

    role: Annotated[str, Field(examples=["system", "user", "assistant", "tool"])]
    parts: list[PartView]
    name: str | None = None
    finish_reason: Annotated[str | None, Field(examples=["stop", "length", "tool_call"])] = None


class ToolDefinitionView(View):
    type: Annotated[str, Field(examples=["function"])]
    name: str
    description: JsonValue
    parameters: Annotated[JsonValue, Field(description="JSON Schema, as it came")]


class ToolView(View):
    """What a tool span did."""

    name: str | None
    call_id: Annotated[str | None, Field(description="the call, as the model named it")]
    arguments: JsonValue
    result: JsonValue
    called_by: Annotated[str | None, Field(description="the span of the model call that asked for it")]


class DocumentView(View):
    id: JsonValue
    score: JsonValue
    content: str | None
    metadata: JsonValue


class RetrievalView(View):
    query: JsonValue
    documents: list[DocumentView]


class SourceView(View):
    source: Literal["attribute", "event", "log"]
    name: Annotated[str, Field(examples=["gen_ai.input.messages", "llm.input_messages"])]
    dialect: Annotated[str, Field(examples=["otel", "openinference"])]


class SpanDetail(SpanView):
    """A span with what was said in it, in one shape whoever recorded it."""

    input_messages: list[MessageView]
    output_messages: list[MessageView]
    system_instructions: list[PartView]
    tool_definitions: list[ToolDefinitionView]
    tool: Annotated[ToolView | None, Field(description="of a tool's span")]
    retrieval: Annotated[RetrievalView | None, Field(description="of a retriever's or reranker's span")]
    embedding_input: list[str]
    messages_from: Annotated[
        dict[str, SourceView],
        Field(
            description="where each of these was read from",
            examples=[{"input_messages": {"source": "attribute", "name": "gen_ai.input.messages", "dialect": "otel"}}],
        ),
    ]
    dropped_messages: Annotated[int, Field(description="numbered attributes beyond 10,000 of a family")]


class TurnView(View):
    """One model call: what it was given that no earlier call of the trace was, and what it answered."""

    span_id: str
    name: str
    agent_name: str | None
    request_model: str | None
    response_model: str | None
    start_time_unix_nano: UnixNano
    start_time: Time
    duration_ns: int
    is_pending: bool
    error_type: str | None
    new_messages: Annotated[list[MessageView], Field(description="of its input, those not told before")]
    seen_count: Annotated[int, Field(description="messages of its input that were told before")]
    output_messages: list[MessageView]
    dropped_messages: int


class Conversation(View):
    trace_id: HexId
    turns: Annotated[list[TurnView], Field(description="by start time")]
