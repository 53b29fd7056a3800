"""Calls of Anthropic's client, as an application makes them; the programs choose who instruments it.

**anthropic_calls** → provider
"""

from typing import Any

from anthropic import Anthropic

from tests.instrumentations.programs.exporting import ANTHROPIC_MODEL

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [{"name": "look_up", "description": "The weather of a city.", "input_schema": PARAMETERS}]
HELLO: Any = [{"role": "user", "content": "hello"}]
ASKED: Any = {"model": ANTHROPIC_MODEL, "max_tokens": 900, "system": "Be brief."}

client = Anthropic(api_key="sk-secret", max_retries=0)


def message() -> None:
    client.messages.create(**ASKED, messages=HELLO)


def message_streamed() -> None:
    for _ in client.messages.create(**ASKED, messages=HELLO, stream=True):
        pass


def message_streamed_by_the_helper() -> None:
    with client.messages.stream(**ASKED, messages=HELLO) as stream:
        for _ in stream.text_stream:
            pass


def message_with_tools() -> None:
    client.messages.create(**ASKED, messages=HELLO, tools=TOOLS)


def message_after_a_tool() -> None:
    messages: Any = [
        *HELLO,
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"city": "Paris"}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]},
    ]
    client.messages.create(**ASKED, messages=messages, tools=TOOLS)


def message_streamed_with_tools() -> None:
    for _ in client.messages.create(**ASKED, messages=HELLO, tools=TOOLS, stream=True):
        pass


def message_with_thinking() -> None:
    client.messages.create(
        model=ANTHROPIC_MODEL, max_tokens=4000, messages=HELLO, thinking={"type": "enabled", "budget_tokens": 1024}
    )


ALL = [
    message,
    message_streamed,
    message_streamed_by_the_helper,
    message_with_tools,
    message_after_a_tool,
    message_streamed_with_tools,
    message_with_thinking,
]
