"""What a source says, as what its field is about: messages, tools, documents, values.

carrier → **readers** → reading
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from backtrail_query.messages.blocks import first, is_block, read_blocks, read_calls
from backtrail_query.messages.carrier import Said
from backtrail_query.messages.parts import (
    Message,
    as_text,
    bounded,
    finish_reason_of,
    parsed_once,
    reasoning,
    text,
)
from backtrail_query.messages.recognition import ROLE, Direction, read_messages, recognise

_DEFINITIONS = ("tools", "function_tools", "output_tools", "functions", "functionDeclarations", "function_declarations")
_PARAMETERS = ("parameters", "input_schema", "inputSchema", "parameters_json_schema", "args_schema", "json_schema")
_CONTENTS = ("content", "page_content", "pageContent", "text", "document")
_DOCUMENTS = ("documents", "results", "nodes", "docs", "output", "outputs", "result", "items", "source_documents")


def messages_of(said: Said, direction: Direction) -> list[Message]:
    return _READERS.get(said.source.form, _any)(said, direction)


def value_of(said: Said) -> Any:
    """Arguments, a result, a query: JSON as what it says, one text as itself."""
    if said.source.place == "event":
        event = said.value[0] if isinstance(said.value, list) else said.value
        rest = {key: value for key, value in event.items() if key != "event.name"}
        found = first(rest, "output", "content", "result")
        return bounded(parsed_once(found if found is not None else rest))
    if said.source.form == "text":
        return as_text(said.raw)
    return bounded(parsed_once(said.raw))


def arguments_of(said: Said) -> Any:
    """What a tool was called with; LangChain's callbacks have it among what else they know."""
    value = value_of(said)
    if isinstance(value, dict) and "inputs" in value and ("input_str" in value or "metadata" in value):
        return parsed_once(value["inputs"]) or value.get("input_str")
    return value


def result_of(said: Said) -> tuple[Any, str | None]:
    """What a tool gave back. A framework's message of it names the call too."""
    found = recognise(said.value, "output") if isinstance(said.value, dict | list) else None
    parts = [part for message in found or () for part in message.parts]
    if len(parts) == 1 and parts[0]["type"] == "tool_call_response":
        return parts[0]["response"], parts[0]["id"]
    value = value_of(said)
    if isinstance(value, dict) and value.keys() == {"output", "kwargs"}:
        return value["output"], None
    return value, None


def definitions_of(said: Said) -> list[dict[str, Any]]:
    """Everybody's tools as `{type, name, description, parameters}`."""
    return [_bounded_members(tool) for tool in _definitions(said.value, 5)]


def documents_of(said: Said) -> list[dict[str, Any]]:
    return [_bounded_members(document) for document in _documents(said.value, 4)]


def _bounded_members(said: Mapping[str, Any]) -> dict[str, Any]:
    return {key: bounded(value) for key, value in said.items()}


def texts_of(said: Said) -> list[str]:
    """What was embedded."""
    values = said.value if isinstance(said.value, list) else [said.value]
    parsed = [parsed_once(value) for value in values]
    embedded = [each.get("embedding", each) if isinstance(each, dict) else each for each in parsed]
    return [as_text(first(each, "text", "value") if isinstance(each, dict) else each) for each in embedded]


def reasons_of(said: Said) -> list[str]:
    """A list, or LangSmith's text of several."""
    values = said.value if isinstance(said.value, list) else as_text(said.value).split(", ")
    return [reason for value in values if (reason := finish_reason_of(value))]


def _any(said: Said, direction: Direction) -> list[Message]:
    found = recognise(said.value, direction)
    return read_messages(said.raw, direction) if found is None else found


def _text(said: Said, direction: Direction) -> list[Message]:
    return [Message(ROLE[direction], [text(said.raw)])]


def _entries(said: Said, direction: Direction) -> list[Message]:
    """Of numbered attributes. A text among them may be JSON of a content's blocks."""
    role = ROLE[direction]
    entries = []
    for entry in said.value:
        message = entry.get("message", entry) if isinstance(entry, dict) else entry
        if not isinstance(message, dict):
            message = {"content": as_text(message)}
        content = parsed_once(message.get("content"))
        if isinstance(content, list) and content and all(is_block(block) for block in content):
            message = {**message, "content": content}
        reason = entry.get("finish_reason") if isinstance(entry, dict) else None
        calls = {"function_call": _legacy_call(message)} if message.get("function_call_name") else {}
        entries.append({"role": role, **message, **calls, **({"finish_reason": reason} if reason else {})})
    return _with_their_thoughts(recognise(entries, direction) or [])


def _with_their_thoughts(messages: Sequence[Message]) -> list[Message]:
    """What was thought is numbered as a message of its own, in front of the one it led to."""
    joined: list[Message] = []
    for message in messages:
        is_led_to = joined and message.role == joined[-1].role == "assistant" and not joined[-1].finish_reason
        if is_led_to and all(part["type"] == "reasoning" for part in joined[-1].parts):
            message = replace(message, parts=[*joined.pop().parts, *message.parts])
        joined.append(message)
    return joined


def _legacy_call(message: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": message["function_call_name"], "arguments": message.get("function_call_arguments_json")}


def _before(said: Said, direction: Direction) -> list[Message]:
    messages = _history(said)
    return messages[: _answer_begins(messages)]


def _answer(said: Said, direction: Direction) -> list[Message]:
    messages = _history(said)
    return messages[_answer_begins(messages) :]


def _history(said: Said) -> list[Message]:
    return recognise(said.value, "input") or []


def _answer_begins(messages: list[Message]) -> int:
    begin = len(messages)
    while begin and messages[begin - 1].role == "assistant":
        begin -= 1
    return begin


def _vercel_answer(said: Said, direction: Direction) -> list[Message]:
    answer = said.value
    parts = [reasoning(thought) for thought in _thoughts(answer.get("reasoning", answer.get("reasoningText")))]
    parts += [text(answer["text"])] if answer.get("text") else []
    parts += read_calls(answer.get("toolCalls"))
    if not parts and answer.get("object") is not None:
        parts = [text(answer["object"])]
    files = answer.get("files")
    parts += (
        read_blocks([{"type": "file", **file} for file in files if isinstance(file, dict)])
        if isinstance(files, list)
        else []
    )
    return [Message("assistant", parts, finish_reason_of(answer.get("finishReason")))] if parts else []


def _thoughts(said: Any) -> list[str]:
    if isinstance(said, str):
        return [said] if said else []
    thoughts = said if isinstance(said, list) else []
    return [
        thought
        for each in thoughts
        if isinstance(each, dict) and (thought := as_text(first(each, "text", "reasoning")))
    ]


_READERS: Mapping[str, Callable[[Said, Direction], list[Message]]] = {
    "text": _text,
    "entries": _entries,
    "history_before": _before,
    "history_answer": _answer,
    "vercel_answer": _vercel_answer,
}


def _definitions(said: Any, levels: int) -> list[dict[str, Any]]:
    said = parsed_once(said)
    if isinstance(said, list):
        return [tool for each in said for tool in _definitions(each, levels - 1)] if levels else []
    if not isinstance(said, dict):
        return []
    for key in (*_DEFINITIONS, "config"):
        if isinstance(said.get(key), list | dict) and "name" not in said and levels:
            return [
                tool
                for inner in _DEFINITIONS_AND_CONFIG
                if inner in said
                for tool in _definitions(said[inner], levels - 1)
            ]
    inner = first(said, "tool", "function", "toolSpec")
    if isinstance(inner, dict) and levels:
        return _definitions(inner, levels - 1)
    if list(said) == ["json_schema"] and levels:
        return _definitions(said["json_schema"], levels - 1)
    name = first(said, "name", "type")
    return [_definition(said, name)] if isinstance(name, str) and _is_definition(said) else []


_DEFINITIONS_AND_CONFIG = (*_DEFINITIONS, "config")


def _is_definition(said: Mapping[str, Any]) -> bool:
    return "name" in said or isinstance(said.get("type"), str)


def _definition(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    parameters = parsed_once(first(said, *_PARAMETERS))
    if isinstance(parameters, dict) and list(parameters) == ["json"]:
        parameters = parameters["json"]  # Bedrock
    kind = said.get("type")
    return {
        "type": kind if isinstance(kind, str) and kind not in ("custom", "provider-defined") else "function",
        "name": name,
        "description": first(said, "description"),
        "parameters": parameters,
    }


def _documents(said: Any, levels: int) -> list[dict[str, Any]]:
    said = parsed_once(said)
    if isinstance(said, list):
        return [document for each in said for document in _documents(each, levels - 1)] if levels else []
    if isinstance(said, str):
        return [{"id": None, "score": None, "content": said, "metadata": None}]
    if not isinstance(said, dict):
        return []
    inner = said.get("document") if isinstance(said.get("document"), dict) else said.get("kwargs")
    if isinstance(inner, dict) and levels:
        return _documents({**{key: value for key, value in said.items() if key == "score"}, **inner}, levels - 1)
    if not any(key in said for key in _CONTENTS):
        for key in _DOCUMENTS:
            if isinstance(said.get(key), list | dict | str) and levels:
                return _documents(said[key], levels - 1)
    content = first(said, *_CONTENTS)
    about = {"id": first(said, "id", "document_id"), "score": first(said, "score", "distance", "relevance_score")}
    return [
        {
            **about,
            "content": None if content is None else as_text(content),
            "metadata": parsed_once(said.get("metadata")),
        }
    ]
