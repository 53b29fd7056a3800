"""What the stub's model says, whatever the protocol it is asked in.

stub_openai → stub_chat, stub_responses → **stub_model**

It calls each tool it is offered once, in their order, and then answers by the first line that fits.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# What the model says when a prompt holds these words; the first line that fits is taken.
ANSWERS = [
    ("what the customer wants", "refund"),
    ("returns.md", "Damaged on arrival: full refund of the item, no return needed."),
    ("shipping.md", "Glass ships double-boxed; a broken shade is treated as our fault."),
    ("lamp-care.md", "Nothing in the care guide would explain a broken shade."),
    ("how many euros", "49.00"),
    ("Write to the customer", "Sorry about the broken shade. 49.00 EUR are on their way to you; please keep the lamp."),
    ("shipped", "Your order A-1042 has been shipped."),
]
ORDER = re.compile(r"\b[A-Z]-\d+\b")


@dataclass(frozen=True)
class Tool:
    name: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class Call:
    """The model asks for a tool."""

    tool: str
    arguments: dict[str, Any]


def say(prompt: str, tools: Sequence[Tool], called: Sequence[str]) -> str | Call:
    """`called` names the tools that were called in this conversation."""
    for tool in tools:
        if tool.name not in called:
            return Call(tool.name, arguments(prompt, tool))
    return next((answer for words, answer in ANSWERS if words in prompt), "I do not know.")


def arguments(prompt: str, tool: Tool) -> dict[str, Any]:
    """The order's number wherever a text is wanted, which is all that the examples' tools take."""
    found = ORDER.search(prompt)
    properties = tool.schema.get("properties", {})
    wanted = [name for name in tool.schema.get("required", properties) if properties[name].get("type") == "string"]
    return dict.fromkeys(wanted, found[0] if found else prompt[-80:])


def tokens(text: str) -> int:
    """Four characters a token is close enough to how real models count English."""
    return len(text) // 4 + 1
