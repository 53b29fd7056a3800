"""OpenAI's clients, Azure's among them: model calls and embeddings as steps.

instrument_openai() → **OpenAI.request, AsyncOpenAI.request** → _stainless
"""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import urlsplit

from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI, OpenAIError

from backtrail._runs.steps import StepKind, StepPlan
from backtrail._spans.llm import ModelCall

from ._client_call import errors_of
from ._joined import joined_completion, joined_response
from ._patch import Patch
from ._request import recording_request
from ._stainless import Body, Endpoint

# Hosts that speak OpenAI's protocol, by the names OpenTelemetry's conventions give their providers.
_PROVIDERS = {
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
}


def instrument() -> None:
    for patch in _patches:
        patch.apply()


def uninstrument() -> None:
    for patch in _patches:
        patch.remove()


@functools.lru_cache(maxsize=256)
def _llm_plan(model: str) -> StepPlan:
    return StepPlan(model, StepKind.LLM_CALL, raises=errors_of(OpenAIError))


@functools.lru_cache(maxsize=256)
def _embedding_plan(model: str) -> StepPlan:
    return StepPlan(model, StepKind.EMBEDDING, raises=errors_of(OpenAIError))


def _provider(client: Any) -> str:
    if isinstance(client, AzureOpenAI | AsyncAzureOpenAI):
        return "azure.ai.openai"
    return _PROVIDERS.get(urlsplit(str(client.base_url)).hostname or "", "openai")


def _said_by_completion(body: Body, answer: Body) -> ModelCall:
    """Chat completions, and the older ones and embeddings, which have less of the same."""
    choices = answer.get("choices") or []
    usage = answer.get("usage") or {}
    return ModelCall(
        response_model=answer.get("model"),
        response_id=answer.get("id"),
        finish_reasons=[choice["finish_reason"] for choice in choices if choice.get("finish_reason")] or None,
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        cache_read_input_tokens=_detail(usage, "prompt_tokens_details", "cached_tokens"),
        reasoning_output_tokens=_detail(usage, "completion_tokens_details", "reasoning_tokens"),
        input_messages=body.get("messages"),
        output_messages=[choice["message"] for choice in choices if choice.get("message")] or None,
        tool_definitions=body.get("tools"),
    )


def _said_by_response(body: Body, answer: Body) -> ModelCall:
    usage = answer.get("usage") or {}
    asked = body.get("input")
    return ModelCall(
        response_model=answer.get("model"),
        response_id=answer.get("id"),
        finish_reasons=[answer["status"]] if answer.get("status") else None,
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        cache_read_input_tokens=_detail(usage, "input_tokens_details", "cached_tokens"),
        reasoning_output_tokens=_detail(usage, "output_tokens_details", "reasoning_tokens"),
        system_instructions=body.get("instructions"),
        input_messages=[{"role": "user", "content": asked}] if isinstance(asked, str) else asked,
        output_messages=answer.get("output"),
        tool_definitions=body.get("tools"),
    )


def _detail(usage: Body, group: str, name: str) -> int | None:
    return (usage.get(group) or {}).get(name)


_ENDPOINTS = {
    "/chat/completions": Endpoint(_llm_plan, _provider, _said_by_completion, joined_completion),
    "/completions": Endpoint(_llm_plan, _provider, _said_by_completion, joined_completion),
    "/responses": Endpoint(_llm_plan, _provider, _said_by_response, joined_response),
    "/embeddings": Endpoint(_embedding_plan, _provider, _said_by_completion, joined_completion),
}
_patches = [
    Patch(client, "request", functools.partial(recording_request, endpoints=_ENDPOINTS))
    for client in (OpenAI, AsyncOpenAI)
]
