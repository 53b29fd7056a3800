"""Calls of OpenAI's client, as an application makes them; the programs choose who instruments it.

**openai_calls** → provider
"""

from typing import Any

from openai import OpenAI

from tests.instrumentations.programs.exporting import OPENAI_MODEL

HELLO: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "look_up", "description": "The weather of a city.", "parameters": PARAMETERS}
TOOLS: Any = [{"type": "function", "function": FUNCTION}]

client = OpenAI(api_key="sk-secret", max_retries=0)


def chat() -> None:
    client.chat.completions.create(model=OPENAI_MODEL, messages=HELLO, temperature=1.0)


def chat_streamed() -> None:
    with_usage: Any = {"include_usage": True}
    for _ in client.chat.completions.create(model=OPENAI_MODEL, messages=HELLO, stream=True, stream_options=with_usage):
        pass


def chat_streamed_without_usage() -> None:
    """As most people stream: OpenAI says what a stream used only if it is asked."""
    for _ in client.chat.completions.create(model=OPENAI_MODEL, messages=HELLO, stream=True):
        pass


def chat_with_tools() -> None:
    client.chat.completions.create(model=OPENAI_MODEL, messages=HELLO, tools=TOOLS)


def chat_after_a_tool() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"city": "Paris"}'}}
    messages: Any = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    client.chat.completions.create(model=OPENAI_MODEL, messages=messages, tools=TOOLS)


def chat_streamed_with_tools() -> None:
    with_usage: Any = {"include_usage": True}
    for _ in client.chat.completions.create(
        model=OPENAI_MODEL, messages=HELLO, tools=TOOLS, stream=True, stream_options=with_usage
    ):
        pass


def responses() -> None:
    client.responses.create(model=OPENAI_MODEL, instructions="Be brief.", input="hello")


def responses_streamed() -> None:
    for _ in client.responses.create(model=OPENAI_MODEL, instructions="Be brief.", input="hello", stream=True):
        pass


def responses_with_tools() -> None:
    tools: Any = [{"type": "function", "strict": True, **FUNCTION}]
    client.responses.create(model=OPENAI_MODEL, input="hello", tools=tools)


def embeddings() -> None:
    client.embeddings.create(model="text-embedding-3-small", input="hello")


ALL = [
    chat,
    chat_streamed,
    chat_streamed_without_usage,
    chat_with_tools,
    chat_after_a_tool,
    chat_streamed_with_tools,
    responses,
    responses_streamed,
    responses_with_tools,
    embeddings,
]
