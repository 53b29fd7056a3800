"""A model call in the words of OpenTelemetry's GenAI conventions.

    step.record_llm(…) → **attributes** → gen_ai.* on the step's span → tokens and cost

Messages are written as they are given, as JSON text; usage counts what the provider counts, cached
tokens within the input and reasoning within the output.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

from backtrail import semconv
from backtrail._payloads.codec import encode
from backtrail._payloads.content import payload_text

from .recorder import Recorder


class ModelCall(TypedDict, total=False):
    """What may be said of a model call; None and left out mean the same."""

    provider: str | None
    request_model: str | None
    response_model: str | None
    response_id: str | None
    finish_reasons: Sequence[str] | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int | None
    cache_write_input_tokens: int | None
    reasoning_output_tokens: int | None
    cost_usd: float | None
    system_instructions: Any
    input_messages: Any
    output_messages: Any
    tool_definitions: Any


_NAMES = {
    "provider": semconv.GEN_AI_PROVIDER_NAME,
    "request_model": semconv.GEN_AI_REQUEST_MODEL,
    "response_model": semconv.GEN_AI_RESPONSE_MODEL,
    "response_id": semconv.GEN_AI_RESPONSE_ID,
    "finish_reasons": semconv.GEN_AI_RESPONSE_FINISH_REASONS,
    "input_tokens": semconv.GEN_AI_USAGE_INPUT_TOKENS,
    "output_tokens": semconv.GEN_AI_USAGE_OUTPUT_TOKENS,
    "cache_read_input_tokens": semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
    "cache_write_input_tokens": semconv.GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS,
    "reasoning_output_tokens": semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
    "cost_usd": semconv.GEN_AI_USAGE_COST,
    "system_instructions": semconv.GEN_AI_SYSTEM_INSTRUCTIONS,
    "input_messages": semconv.GEN_AI_INPUT_MESSAGES,
    "output_messages": semconv.GEN_AI_OUTPUT_MESSAGES,
    "tool_definitions": semconv.GEN_AI_TOOL_DEFINITIONS,
}
_PAYLOADS = frozenset({"system_instructions", "input_messages", "output_messages", "tool_definitions"})


def attributes(recorder: Recorder, said: ModelCall) -> dict[str, Any]:
    """The attributes for what is known; what is None is left out."""
    found: dict[str, Any] = {}
    for word, said_value in said.items():
        value: Any = said_value
        if value is None:
            continue
        if word not in _NAMES:
            raise TypeError(f"record_llm() got an unexpected keyword argument {word!r}")
        if word in _PAYLOADS:
            value = payload_text(recorder.redaction.plain(encode(value).json), recorder.max_payload_bytes)
        elif word == "finish_reasons":
            value = list(value)
        elif word == "cost_usd":
            value = float(value)
        elif isinstance(value, str):
            value = recorder.redaction.text(value)
        found[_NAMES[word]] = value
    return found
