"""Anthropic's clients, those for other clouds among them: messages as steps.

instrument_anthropic() → **request of every client class** → _stainless
"""

from __future__ import annotations

import functools
from typing import Any

import anthropic
from anthropic import AnthropicError

from backtrail._runs.steps import StepKind, StepPlan
from backtrail._spans.llm import ModelCall

from ._client_call import errors_of
from ._joined import joined_message
from ._patch import Patch
from ._request import recording_request
from ._stainless import Body, Endpoint

_CLIENTS = ("Anthropic", "AnthropicBedrock", "AnthropicVertex", "AnthropicFoundry")


def instrument() -> None:
    for patch in _patches:
        patch.apply()


def uninstrument() -> None:
    for patch in _patches:
        patch.remove()


@functools.lru_cache(maxsize=256)
def _plan(model: str) -> StepPlan:
    return StepPlan(model, StepKind.LLM_CALL, raises=errors_of(AnthropicError))


def _said(body: Body, answer: Body) -> ModelCall:
    usage = answer.get("usage") or {}
    # Anthropic counts cached tokens apart; the conventions count them in.
    counted = [usage.get(f"{part}input_tokens") for part in ("", "cache_read_", "cache_creation_")]
    return ModelCall(
        response_model=answer.get("model"),
        response_id=answer.get("id"),
        finish_reasons=[answer["stop_reason"]] if answer.get("stop_reason") else None,
        input_tokens=sum(tokens or 0 for tokens in counted) if usage else None,
        output_tokens=usage.get("output_tokens"),
        cache_read_input_tokens=counted[1],
        cache_write_input_tokens=counted[2],
        system_instructions=body.get("system"),
        input_messages=body.get("messages"),
        output_messages=[{"role": answer.get("role", "assistant"), "content": answer.get("content")}],
        tool_definitions=body.get("tools"),
    )


def _provider(client: Any) -> str:
    name = type(client).__name__
    if "Bedrock" in name:
        return "aws.bedrock"
    return "gcp.vertex_ai" if "Vertex" in name else "anthropic"


_ENDPOINTS = {"/v1/messages": Endpoint(_plan, _provider, _said, joined_message)}
_patches = [
    Patch(getattr(anthropic, name), "request", functools.partial(recording_request, endpoints=_ENDPOINTS))
    for client in _CLIENTS
    for name in (client, f"Async{client}")
    if hasattr(anthropic, name)
]
