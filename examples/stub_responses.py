"""OpenAI's Responses API, as the stub speaks it.

stub_openai → **stub_responses** → stub_model
"""

import json
from collections.abc import Iterator
from typing import Any

from examples.stub_model import Call, Tool, say, tokens

Json = dict[str, Any]


def answer(body: Json) -> tuple[Json, Iterator[str]]:
    """The whole answer, and the same as a stream."""
    items = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
    prompt = "\n".join([body.get("instructions") or "", *(text_of(item) for item in items)])
    tools = [Tool(each["name"], each["parameters"]) for each in body.get("tools") or [] if each["type"] == "function"]
    called = [item["name"] for item in items if item.get("type") == "function_call"]
    output = output_of(say(prompt, tools, called), number=len(called))
    input_tokens, output_tokens = tokens(prompt), tokens(json.dumps(output))
    whole = {
        "id": "resp_stub",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "model": body["model"],
        "output": [output],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": body.get("tools") or [],
        "usage": {
            "input_tokens": input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input_tokens + output_tokens,
        },
    }
    return whole, events(whole, output)


def text_of(item: Json) -> str:
    content = item.get("content") or item.get("output") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def output_of(said: str | Call, *, number: int) -> Json:
    if isinstance(said, Call):
        call = {"call_id": f"call_{number}", "name": said.tool, "arguments": json.dumps(said.arguments)}
        return {"type": "function_call", "id": f"fc_{number}", "status": "completed", **call}
    content = [{"type": "output_text", "text": said, "annotations": []}]
    return {"type": "message", "id": "msg_stub", "role": "assistant", "status": "completed", "content": content}


def events(whole: Json, output: Json) -> Iterator[str]:
    """As few as a client needs: begun, one item, done."""
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    contents: list[tuple[str, Json]] = [
        ("response.created", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": output}),
        ("response.output_item.done", {"output_index": 0, "item": output}),
        ("response.completed", {"response": whole}),
    ]
    for number, (kind, content) in enumerate(contents):
        yield f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': number, **content})}\n\n"
