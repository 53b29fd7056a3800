"""OpenAI's chat completions and embeddings, as the stub speaks them.

stub_openai → **stub_chat** → stub_model
"""

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

from examples.stub_model import Call, Tool, say, tokens

Json = dict[str, Any]


def answer(body: Json) -> tuple[Json, Iterator[str]]:
    """The whole answer, and the same as a stream."""
    messages = body["messages"]
    prompt = "\n".join(text_of(message) for message in messages)
    tools = [Tool(each["function"]["name"], each["function"].get("parameters", {})) for each in body.get("tools", [])]
    called = [call["function"]["name"] for message in messages for call in message.get("tool_calls") or []]
    message, reason = message_of(say(prompt, tools, called), number=len(called))
    used = usage(prompt, json.dumps(message))
    head = {"id": "chatcmpl-stub", "created": 1_700_000_000, "model": body["model"]}
    whole = {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": reason, "message": message}],
        "usage": used,
    }
    with_usage = (body.get("stream_options") or {}).get("include_usage")
    return whole, pieces(head, message, reason, used if with_usage else None)


def text_of(message: Json) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def message_of(said: str | Call, *, number: int) -> tuple[Json, str]:
    if isinstance(said, str):
        return {"role": "assistant", "content": said}, "stop"
    function = {"name": said.tool, "arguments": json.dumps(said.arguments)}
    call = {"id": f"call_{number}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"


def pieces(head: Json, message: Json, reason: str, used: Json | None) -> Iterator[str]:
    def chunk(delta: Json, finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return event({**head, "object": "chat.completion.chunk", "choices": [choice]})

    if calls := message.get("tool_calls"):
        yield chunk({"role": "assistant", "tool_calls": [{"index": 0, **calls[0]}]})
    else:
        yield chunk({"role": "assistant", "content": ""})
        for word in message["content"].split(" "):
            yield chunk({"content": f"{word} "})
    yield chunk({}, reason)
    if used is not None:
        yield event({**head, "object": "chat.completion.chunk", "choices": [], "usage": used})
    yield "data: [DONE]\n\n"


def event(content: Json) -> str:
    return f"data: {json.dumps(content)}\n\n"


def usage(prompt: str, said: str) -> Json:
    input_tokens, output_tokens = tokens(prompt), tokens(said)
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }


def embed(body: Json) -> tuple[Json, Iterator[str]]:
    """Four numbers a text, made of its letters: equal texts are near to each other, and that is all."""
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    data = [{"object": "embedding", "index": n, "embedding": vector(text, body)} for n, text in enumerate(texts)]
    used = sum(tokens(str(text)) for text in texts)
    answer = {"object": "list", "model": body["model"], "data": data}
    return {**answer, "usage": {"prompt_tokens": used, "total_tokens": used}}, iter(())


def vector(text: object, body: Json) -> list[float] | str:
    letters = str(text)
    numbers = [sum(map(ord, letters[start::4])) % 97 / 97 for start in range(4)]
    if body.get("encoding_format") == "base64":
        return base64.b64encode(struct.pack("<4f", *numbers)).decode()
    return numbers
