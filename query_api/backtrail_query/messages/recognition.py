"""Which messages a value holds, by looking at it and not by believing its name.

    sources → **recognition** → shapes → messages

A value may be a list of messages, one of them, a text, or a whole request or answer of a provider or framework with the
messages somewhere in it. What holds none is shown as it is: one message with its text.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from backtrail_query.messages.blocks import first, is_block, read_blocks
from backtrail_query.messages.parts import Message, Part, parsed_once, text
from backtrail_query.messages.shapes import read_message, set_apart, spoken

Direction: TypeAlias = Literal["input", "output"]

ROLE: Mapping[Direction, str] = {"input": "user", "output": "assistant"}
NOTHING = ("", "null", "N/A", "{}", "[]", "<not specified>", "<not serializable>", "<REDACTED>")

_LISTS = ("messages", "contents", "items", "choices", "candidates", "generations", "new_messages")
_WRAPPERS = (
    *("inputs", "outputs", "input", "output", "kwargs", "args", "request", "response", "message", "content", "result"),
    *("state", "body", "request_data", "response_data", "prompt", "prompts", "update", "chat_history"),
)
_TEXTS = (
    *("input", "prompt", "question", "query", "output", "answer", "combined_chunk_content", "completion"),
    "response",
)
_SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction", "system_instructions")
_BESIDE_TEXT = {"model", "chunk_count", "stream", "done", "created_at"}
_LEVELS = 5


def read_messages(value: Any, direction: Direction) -> list[Message]:
    """Never raises. `value` is as it came, or what it says as JSON; text that is JSON without messages stays text."""
    if says_nothing(value):
        return []
    said = parsed_once(value)
    found = recognise(said, direction)
    return [Message(ROLE[direction], [text(said if isinstance(said, str) else value)])] if found is None else found


def recognise(said: Any, direction: Direction) -> list[Message] | None:
    """The messages in it, None if there are none."""
    found = _found(said, ROLE[direction], _LEVELS)
    if found is None:
        return None
    return set_apart([message for message in found if message.parts or message.finish_reason])


def says_nothing(value: object) -> bool:
    return value is None or value in ([], {}) or (isinstance(value, str) and value.strip() in NOTHING)


def read_instructions(value: Any) -> list[Part]:
    """System instructions: a text, parts, or messages."""
    if says_nothing(value):
        return []
    said = parsed_once(value)
    found = None if is_content(said) else _found(said, "system", _LEVELS)
    if found is not None:
        return [part for message in found for part in message.parts]
    return read_blocks(said)


def is_content(said: object) -> bool:
    return isinstance(said, list) and all(
        isinstance(each, str) or (is_block(each) and "role" not in each) for each in said
    )


def _found(said: Any, role: str, levels: int) -> list[Message] | None:
    match said:
        case list():
            return _of_list(said, role, levels)
        case dict():
            message = read_message(said, role) if not _is_envelope(said) else None
            return _of_envelope(said, role, levels) if message is None else message
        case _:
            return None


def _of_list(said: list[Any], role: str, levels: int) -> list[Message] | None:
    """Messages, or LangChain's list for each prompt; one that is neither stands among them as text."""
    if len(said) == 1 and isinstance(said[0], list) and levels:
        return _of_list(said[0], role, levels - 1)
    if not said or _found_in_first(said[0], role, levels) is None:
        return [spoken(read_blocks(said), role)] if said and _all_blocks(said) else None
    messages: list[Message] = []
    for each in said:
        found = _found(each, role, max(levels - 1, 0)) if isinstance(each, dict | list) else None
        messages += found if found is not None else [Message(role, [text(each)])]
    return _joined(messages) if _has_items(said) else messages


def _found_in_first(said: Any, role: str, levels: int) -> list[Message] | None:
    return _found(said, role, levels - 1) if levels and isinstance(said, dict | list) else None


def _all_blocks(said: list[Any]) -> bool:
    return all(is_block(each) for each in said)


def _has_items(said: list[Any]) -> bool:
    return any(isinstance(each, dict) and "role" not in each and "type" in each for each in said)


def _joined(messages: list[Message]) -> list[Message]:
    """The items of one turn: reasoning, words and calls that come one after the other are one message."""
    joined: list[Message] = []
    for message in messages:
        if joined and message.role == "assistant" == joined[-1].role:
            before = joined.pop()
            parts = [*before.parts, *message.parts]
            message = Message("assistant", parts, message.finish_reason or before.finish_reason, before.name)
        joined.append(message)
    return joined


def _is_envelope(said: Mapping[str, Any]) -> bool:
    """A whole request or answer that also has a member that a message could have."""
    return "role" not in said and any(isinstance(said.get(key), list) for key in _LISTS)


def _of_envelope(said: Mapping[str, Any], role: str, levels: int) -> list[Message] | None:
    if not levels:
        return None
    system = _system(said)
    for messages in _looked_into(said, role, levels):
        if messages is not None:
            has_own = any(message.role == "system" for message in messages)
            return messages if has_own or not system else [Message("system", system), *messages]
    return None


def _looked_into(said: Mapping[str, Any], role: str, levels: int) -> Iterator[list[Message] | None]:
    finish = first(said, "finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason")
    for key in _LISTS:
        value = said.get(key)
        if isinstance(value, list) and value:
            yield _of_list(_unfolded(key, value), role, levels - 1)
    for key in _WRAPPERS:
        value = parsed_once(said.get(key))
        if isinstance(value, dict) and finish is not None and "finish_reason" not in value:
            value = {**value, "finish_reason": finish}
        if isinstance(value, dict | list):
            yield _found(value, role, levels - 1)
    yield _of_text(said, role)


def _unfolded(key: str, value: list[Any]) -> list[Any]:
    """LangChain has a list of answers for each prompt, and Gemini's contents may be bare parts or texts."""
    if key == "generations":
        flat = [each for group in value for each in (group if isinstance(group, list) else [group])]
        return [_generation(each) for each in flat]
    if key == "contents":
        return [{"role": "user", "parts": [each]} if isinstance(each, str) else each for each in value]
    if key == "candidates":
        return [_candidate(each) for each in value]
    if key == "choices":
        return [_completion(each) for each in value]
    return value


def _candidate(said: Any) -> Any:
    content = said.get("content") if isinstance(said, dict) else None
    if not isinstance(content, dict):
        return said
    return {"role": "model", **content, "finish_reason": first(said, "finishReason", "finish_reason")}


def _generation(said: Any) -> Any:
    if not isinstance(said, dict):
        return said
    about = said.get("generation_info")
    reason = about.get("finish_reason") if isinstance(about, dict) else None
    inner = said.get("message")
    if isinstance(inner, dict):
        return {"message": inner, "finish_reason": reason}
    return {"role": "assistant", "content": said.get("text"), "finish_reason": reason}


def _completion(said: Any) -> Any:
    """The older completions' choice is a text."""
    if isinstance(said, dict) and "message" not in said and isinstance(said.get("text"), str):
        return {"role": "assistant", "content": said["text"], "finish_reason": said.get("finish_reason")}
    return said


def _of_text(said: Mapping[str, Any], role: str) -> list[Message] | None:
    """One text and next to nothing beside it."""
    for key in _TEXTS:
        value = said.get(key)
        if isinstance(value, str) and not (said.keys() - {key, *_SYSTEM} - _BESIDE_TEXT):
            return [Message(role, [text(value)])]
        is_texts = isinstance(value, list) and value and all(isinstance(each, str) for each in value)
        if is_texts and not (said.keys() - {key} - _BESIDE_TEXT):
            return [Message(role, [text(each)]) for each in value or ()]
    if isinstance(said.get("input"), str) and "model" in said:
        return [Message(role, [text(said["input"])])]  # OpenAI's Responses, with whatever settings
    prompts = said.get("prompts")
    if isinstance(prompts, list) and prompts and all(isinstance(each, str) for each in prompts):
        return [Message(role, [text(each)]) for each in prompts]
    return None


def _system(said: Mapping[str, Any]) -> list[Part]:
    config = said.get("config")
    for holder in (said, config if isinstance(config, dict) else {}):
        value = first(holder, *_SYSTEM)
        if isinstance(value, str) and value:
            return [text(value)]
        if isinstance(value, dict | list):
            return read_instructions(value)
    return []
