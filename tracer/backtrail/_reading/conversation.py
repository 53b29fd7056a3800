"""A conversation for people's eyes: who said what to the models of a run, and what they answered.

client → answers → **conversation** → terminal
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from backtrail._reading.answers import Conversation, Message, Part, Turn
from backtrail._reading.figures import count, duration
from backtrail._reading.visible import Visible, one_line

STYLES = {"system": "magenta", "user": "green", "assistant": "cyan", "tool": "yellow"}
MOST_LINES = 40  # of one text; the API has all of it


def conversation_view(conversation: Conversation) -> RenderableType:
    """Each model call with its new messages and its answers."""
    if not conversation.turns:
        return Text("No messages are recorded.", style="dim")
    parts: list[RenderableType] = []
    for turn in conversation.turns:
        parts += [*([Text()] if parts else ()), *_turn(turn)]
    return Visible(*parts)


def _turn(turn: Turn) -> Iterator[RenderableType]:
    head = Text.assemble("── ", (one_line(turn.name), "bold"), style="dim")
    facts = [
        turn.agent_name or "",
        "running" if turn.is_pending else duration(turn.duration_ns),
        f"{count(turn.seen_count, 'message')} told before" if turn.seen_count else "",
    ]
    head.append("  " + " · ".join(one_line(fact) for fact in facts if fact))
    if turn.error_type:
        head.append(f"  {one_line(turn.error_type)}", style="not dim red")
    yield head
    for message in (*turn.new_messages, *turn.output_messages):
        yield from _message(message)


def _message(message: Message) -> Iterator[RenderableType]:
    title = Text(one_line(message.role), style=f"bold {STYLES.get(message.role, '')}".strip())
    if message.name:
        title.append(f"  {one_line(message.name)}", style="not bold dim")
    if message.finish_reason not in (None, "stop", "tool_call"):
        title.append(f"  ended by {one_line(message.finish_reason or '')}", style="not bold yellow")
    yield title
    for part in message.parts:
        yield Padding(_part(part), (0, 0, 0, 2))


def _part(part: Part) -> Text:
    match part.type:
        case "text":
            return Text(_cut(_said(part.get("content"))))
        case "reasoning":
            return Text(_cut(_said(part.get("content"))) or "(hidden)", style="dim italic")
        case "refusal":
            return Text(_cut(_said(part.get("content"))), style="red")
        case "tool_call":
            return _tool_call(part)
        case "tool_call_response":
            mark = "✗" if part.get("is_error") else "→"
            return Text.assemble(
                (f"{mark} ", "red" if part.get("is_error") else "dim"), _cut(_said(part.get("response")))
            )
        case "blob" | "uri" | "file":
            return _media(part)
        case _:
            return Text(_cut(_said(part.model_dump())), style="dim")


def _tool_call(part: Part) -> Text:
    arguments = part.get("arguments")
    shown = f"({', '.join(_arguments(arguments))})" if isinstance(arguments, dict) else f"({_said(arguments)})"
    call = Text.assemble("⚙ ", (one_line(_said(part.get("name"))), "bold"), _cut(shown))
    if not part.get("has_result"):
        call.append("  no result", style="dim")
    return call


def _arguments(arguments: dict[str, Any]) -> Iterator[str]:
    for name, value in arguments.items():
        yield f"{name}={json.dumps(value, ensure_ascii=False)}"


def _media(part: Part) -> Text:
    size = part.get("size")
    facts: Sequence[Any] = (
        part.get("modality"),
        part.get("name"),
        part.get("mime_type"),
        count(size, "byte") if isinstance(size, int) else None,
        part.get("uri") or part.get("file_id"),
    )
    return Text(f"[{' · '.join(one_line(_said(fact)) for fact in facts if fact)}]", style="blue")


def _said(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    lines = text.splitlines()
    if len(lines) <= MOST_LINES:
        return "\n".join(lines)
    return "\n".join([*lines[:MOST_LINES], f"… and {count(len(lines) - MOST_LINES, 'more line')}"])
