"""What the model of our provider says, whatever the protocol it is asked in.

providers → chat, responses, messages → **saying**

It calls the first tool it is offered, once, and then repeats the last thing that was said.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]

# An answer names the dated model behind the name that was asked for.
DATED = {
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "text-embedding-3-small": "text-embedding-3-small",
}


@dataclass(frozen=True)
class Call:
    """The model asks for a tool."""

    tool: str
    arguments: Body

    @property
    def as_json(self) -> str:
        return json.dumps(self.arguments)


def say(said: str, tools: Sequence[tuple[str, Body]], *, as_json: bool, answers_a_tool: bool) -> str | Call:
    """`tools` are names and schemas of arguments; `answers_a_tool` if what was said last is a tool's result."""
    if tools and not answers_a_tool:
        name, schema = tools[0]
        return Call(name, {argument: value_of(each) for argument, each in schema.get("properties", {}).items()})
    return json.dumps({"text": said}) if as_json else f"You said: {said}"


def value_of(schema: Body) -> object:
    return {"string": "Paris", "integer": 1, "number": 1.5, "boolean": True}.get(str(schema.get("type")))


def dated(model: str) -> str:
    return DATED.get(model, model if model in DATED.values() else f"{model}-2026")


def text_of(content: object) -> str:
    """A text, or the texts of its parts: a tool's result is one."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(text_of(part.get("text") or part.get("content")) for part in parts if isinstance(part, Mapping))


def pieces_of(text: str) -> list[str]:
    """Word by word, as a stream has them."""
    first, *others = text.split(" ")
    return [first, *(f" {word}" for word in others)]
