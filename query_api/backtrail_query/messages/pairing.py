"""Which tool calls have their result, and which span ran them.

    reading, tool_calls → **pairing** → conversation, routes/spans.py

By the call's id. Gemini has none: there the first result of a tool is that of its first call.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from backtrail_query.messages.parts import Message, Part


def pair_calls(messages: Sequence[Message], tool_spans: Mapping[str, str]) -> None:
    """Says of each tool call whether its result is among these messages, and which span ran it."""
    ids = set[str]()
    unnamed = Counter[str]()
    for response in parts_of(messages, "tool_call_response"):
        if response["id"] is None:
            unnamed[response.get("name", "")] += 1
        else:
            ids.add(response["id"])
    for call in parts_of(messages, "tool_call"):
        if call["id"] is None:
            call["has_result"] = unnamed[call["name"]] > 0
            unnamed[call["name"]] -= 1
        else:
            call["has_result"] = call["id"] in ids
        call["tool_span_id"] = tool_spans.get(call["id"]) if call["id"] else None


def call_ids(messages: Iterable[Message]) -> set[str]:
    return {call["id"] for call in parts_of(messages, "tool_call") if call["id"] is not None}


def parts_of(messages: Iterable[Message], type_: str) -> list[Part]:
    """Parts of this type that came as such: one of a type unknown to us may lack what these have."""
    return [part for message in messages for part in message.parts if part.get("type") == type_ and "id" in part]
