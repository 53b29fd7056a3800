"""Anthropic's messages, at once and as a stream.

providers → **messages** → saying
"""

import json

from tests.protocols.saying import Body, dated, pieces_of, say, text_of

# What the cache was used for is not among the input here.
USAGE: Body = {
    "input_tokens": 30,
    "cache_read_input_tokens": 60,
    "cache_creation_input_tokens": 10,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 20,
    "service_tier": "standard",
}

# What a stream says again at its end, as counted until then.
CUMULATIVE = {
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
    "output_tokens_details",
}


def message(body: Body, number: int) -> Body:
    blocks = [*thinking_in(body), block_of(body, number)]
    return {
        "id": f"msg_{number:024}",
        "type": "message",
        "role": "assistant",
        "model": dated(body["model"]),
        "content": blocks,
        "stop_reason": "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn",
        "stop_sequence": None,
        "usage": USAGE | {"output_tokens_details": {"thinking_tokens": 5 if len(blocks) > 1 else 0}},
    }


def thinking_in(body: Body) -> list[Body]:
    if (body.get("thinking") or {}).get("type", "disabled") == "disabled":
        return []
    return [{"type": "thinking", "thinking": "They greet.", "signature": "c2lnbmVk"}]


def block_of(body: Body, number: int) -> Body:
    content = body["messages"][-1]["content"]
    answers_a_tool = isinstance(content, list) and any(part.get("type") == "tool_result" for part in content)
    tools = [(tool["name"], tool.get("input_schema", {})) for tool in body.get("tools") or []]
    said = say(text_of(content), tools, as_json=False, answers_a_tool=answers_a_tool)
    if isinstance(said, str):
        return {"type": "text", "text": said}
    return {"type": "tool_use", "id": f"toolu_{number}", "name": said.tool, "input": said.arguments}


def message_events(answer: Body, body: Body) -> list[Body]:
    usage = answer["usage"]
    start = {**answer, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    return [
        {"type": "message_start", "message": start},
        {"type": "ping"},
        *(event for index, block in enumerate(answer["content"]) for event in block_events(block, index)),
        {
            "type": "message_delta",
            "delta": {"stop_reason": answer["stop_reason"], "stop_sequence": None},
            "usage": {name: count for name, count in usage.items() if name in CUMULATIVE},
        },
        {"type": "message_stop"},
    ]


def block_events(block: Body, index: int) -> list[Body]:
    empty, deltas = opened(block)
    events: list[Body] = [
        {"type": "content_block_start", "content_block": empty},
        *({"type": "content_block_delta", "delta": delta} for delta in deltas),
        {"type": "content_block_stop"},
    ]
    return [{**event, "index": index} for event in events]


def opened(block: Body) -> tuple[Body, list[Body]]:
    """A block as it begins, and what is added to it."""
    if block["type"] == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": one} for one in pieces_of(block["text"])]
    if block["type"] == "thinking":
        thought = [{"type": "thinking_delta", "thinking": one} for one in pieces_of(block["thinking"])]
        signed = {"type": "signature_delta", "signature": block["signature"]}
        return {**block, "thinking": "", "signature": ""}, [*thought, signed]
    pieces = pieces_of(json.dumps(block["input"]))
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": one} for one in pieces]
