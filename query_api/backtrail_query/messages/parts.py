"""The shape that every dialect's messages come out in: a role, and parts of a few kinds.

    blocks → **parts** → messages

text {content} · reasoning {content} · refusal {content} · tool_call {id, name, arguments} ·
tool_call_response {id, response} · blob {mime_type, size, reference} · uri {uri} · file {file_id}. What is none of
these keeps its own type.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic_core import from_json, to_json

Part: TypeAlias = dict[str, Any]

ROLES = {"ai": "assistant", "model": "assistant", "human": "user", "developer": "system", "function": "tool"}
FINISH_REASONS = {
    "tool_calls": "tool_call",
    "tool-calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "content-filter": "content_filter",
    "safety": "content_filter",
}
# An answer's readers give up at 200 levels, and these stand some levels deep in it already.
MOST_LEVELS = 64


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    parts: Sequence[Part]
    finish_reason: str | None = None
    name: str | None = None

    def as_json(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": self.role, "parts": list(self.parts)}
        if self.name:
            message["name"] = self.name
        if self.finish_reason:
            message["finish_reason"] = self.finish_reason
        return message


def role_of(said: object, default: str = "user") -> str:
    if not isinstance(said, str) or not said.strip():
        return default
    role = said.strip().lower()
    return ROLES.get(role, role)


def finish_reason_of(said: object) -> str | None:
    """By OpenTelemetry's names; what it has no name for stays as it is, in lower case. That a response is completed is
    no reason: it may have called a tool."""
    if not isinstance(said, str) or not said.strip():
        return None
    reason = said.strip().lower().removeprefix("finishreason.").removeprefix("finish_reason_")
    return None if reason == "completed" else FINISH_REASONS.get(reason, reason)


def text(content: object) -> Part:
    return {"type": "text", "content": as_text(content)}


def reasoning(content: object, *, redacted: bool = False) -> Part:
    return {"type": "reasoning", "content": as_text(content)} | ({"redacted": True} if redacted else {})


def tool_call(id_: object, name: object, arguments: object) -> Part:
    return {
        "type": "tool_call",
        "id": _word(id_),
        "name": _word(name) or "",
        "arguments": bounded(parsed_once(arguments)),
    }


def tool_call_response(id_: object, response: object, *, name: object = None, is_error: object = None) -> Part:
    part = {"type": "tool_call_response", "id": _word(id_), "response": bounded(parsed_once(response))}
    if _word(name):
        part["name"] = _word(name)
    if is_error is True:
        part["is_error"] = True
    return part


def other(block: Mapping[str, Any]) -> Part:
    """A kind of part that we have no word for, as it came."""
    kind = block.get("type")
    if not isinstance(kind, str) or not kind:
        return text(block)
    return {key: bounded(value) for key, value in block.items()}


def parsed_once(value: Any) -> Any:
    """JSON text as what it says; a word or number stays the text it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[", '"'):
        return None if value == "null" else value
    try:
        return from_json(value)
    except ValueError:
        return value


def bounded(value: Any) -> Any:
    """The value, or what lies too deep for the readers of an answer as JSON text."""
    return as_text(value) if is_deeper(value, MOST_LEVELS) else value


def is_deeper(value: object, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else to_json(value, inf_nan_mode="strings").decode()


def _word(value: object) -> str | None:
    """An id or a name: some senders write numbers."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
