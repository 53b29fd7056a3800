"""What the pieces of a streamed answer come to: the same JSON as the answer in one piece, as far as it is noted.

_stainless_stream → **joined** → Endpoint.said → usage and messages on the step
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Body = dict[str, Any]


def joined_completion(chunks: Sequence[Body]) -> Body:
    """OpenAI's chat completion. It tells usage only if `stream_options` asked for it, in the last chunk."""
    answer: Body = {}
    choices: dict[int, Body] = {}
    for chunk in chunks:
        answer.update({name: chunk[name] for name in ("id", "model", "usage") if chunk.get(name)})
        for choice in chunk.get("choices") or ():
            whole = choices.setdefault(choice.get("index", 0), {"message": {"role": "assistant", "content": ""}})
            whole["finish_reason"] = choice.get("finish_reason") or whole.get("finish_reason")
            _add_delta(whole["message"], choice.get("delta") or {})
    return {**answer, "choices": list(choices.values())}


def _add_delta(message: Body, delta: Body) -> None:
    message["content"] += delta.get("content") or ""
    for call in delta.get("tool_calls") or ():
        calls = message.setdefault("tool_calls", [])
        if call.get("id"):
            calls.append({"id": call["id"], "type": "function", "function": {"name": "", "arguments": ""}})
        for name, text in (call.get("function") or {}).items():
            calls[-1]["function"][name] = calls[-1]["function"].get(name, "") + (text or "")


def joined_response(events: Sequence[Body]) -> Body:
    """OpenAI's response: the last event that holds it, which is the one that ends it."""
    return next((event["response"] for event in reversed(events) if event.get("response")), {})


def joined_message(events: Sequence[Body]) -> Body:
    """Anthropic's message."""
    message: Body = {}
    blocks: list[Body] = []
    for event in events:
        match event.get("type"):
            case "message_start":
                message = {**event["message"]}
            case "content_block_start":
                blocks.append({**event["content_block"]})
            case "content_block_delta" if blocks:
                _add_to_block(blocks[-1], event["delta"])
            case "message_delta":
                message.update({name: value for name, value in event["delta"].items() if value is not None})
                message["usage"] = {**(message.get("usage") or {}), **_known(event.get("usage") or {})}
    return {**message, "content": blocks} if message else {}


def _add_to_block(block: Body, delta: Body) -> None:
    for name in ("text", "thinking", "partial_json"):
        if name in delta:
            block[name] = block.get(name, "") + delta[name]


def _known(usage: Body) -> Body:
    return {name: value for name, value in usage.items() if value is not None}
