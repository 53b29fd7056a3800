"""OpenAI's chat completions and embeddings, at once and as a stream.

providers → **chat** → saying
"""

import base64
import struct

from tests.protocols.saying import Body, Call, dated, pieces_of, say, text_of

USAGE: Body = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 60},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def chat_completion(body: Body, number: int) -> Body:
    last = body["messages"][-1]
    tools = [(tool["function"]["name"], tool["function"].get("parameters", {})) for tool in body.get("tools") or []]
    as_json = body.get("response_format", {}).get("type", "text") != "text"
    said = say(text_of(last["content"]), tools, as_json=as_json, answers_a_tool=last["role"] == "tool")
    message, reason = message_of(said, number)
    return {
        "id": f"chatcmpl-{number:029}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": dated(body["model"]),
        "choices": [{"index": 0, "finish_reason": reason, "message": message, "logprobs": None}],
        "usage": USAGE,
    }


def message_of(said: str | Call, number: int) -> tuple[Body, str]:
    if isinstance(said, str):
        return {"role": "assistant", "content": said}, "stop"
    function = {"name": said.tool, "arguments": said.as_json}
    call = {"id": f"call_{number}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"


def chunks(answer: Body, body: Body) -> list[Body]:
    """The usage comes in a chunk of its own at the end, and only to who asked for it."""
    with_usage = (body.get("stream_options") or {}).get("include_usage")
    base = {"id": answer["id"], "object": "chat.completion.chunk", "created": 1, "model": answer["model"]}
    if with_usage:
        base["usage"] = None
    [choice] = answer["choices"]
    given = [{**base, "choices": [{"index": 0, "delta": one, "finish_reason": None}]} for one in deltas(choice)]
    end = {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    used = [{**base, "choices": [], "usage": answer["usage"]}] if with_usage else []
    return [*given, end, *used]


def deltas(choice: Body) -> list[Body]:
    message = choice["message"]
    if "tool_calls" not in message:
        return [{"role": "assistant", "content": ""}, *({"content": one} for one in pieces_of(message["content"]))]
    [call] = message["tool_calls"]
    function = call["function"]
    begun = {**call, "index": 0, "function": {**function, "arguments": ""}}
    arguments = [{"index": 0, "function": {"arguments": one}} for one in pieces_of(function["arguments"])]
    return [
        {"role": "assistant", "content": None, "tool_calls": [begun]},
        *({"tool_calls": [one]} for one in arguments),
    ]


def embedding(body: Body, number: int) -> Body:
    numbers = [0.5, -1.0, 2.0]
    packed = base64.b64encode(struct.pack("<3f", *numbers)).decode()
    vector = packed if body.get("encoding_format") == "base64" else numbers
    return {
        "object": "list",
        "model": body["model"],
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }
