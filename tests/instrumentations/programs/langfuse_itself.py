"""Langfuse's SDK with another server than its own: its decorator and its OpenAI client."""

from typing import Any

from langfuse import Langfuse, observe, propagate_attributes
from langfuse.openai import OpenAI
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from tests.instrumentations.programs import openai_calls
from tests.instrumentations.programs.exporting import OPENAI_MODEL, perform

client: Any = OpenAI(api_key="sk-secret", max_retries=0)


@observe(as_type="tool")
def look_up(city: str) -> str:
    return "sunny"


@observe(as_type="agent")
def support(said: str) -> str:
    client.chat.completions.create(model=OPENAI_MODEL, messages=openai_calls.HELLO, tools=openai_calls.TOOLS)
    return look_up("Paris")


def agent_with_a_tool() -> None:
    with propagate_attributes(session_id="thread-7", user_id="ada", tags=["vip"]):
        support("hello")


def chat_streamed() -> None:
    asked: Any = {"stream": True, "stream_options": {"include_usage": True}}
    for _ in client.chat.completions.create(model=OPENAI_MODEL, messages=openai_calls.HELLO, **asked):
        pass


def responses() -> None:
    client.responses.create(model=OPENAI_MODEL, instructions="Be brief.", input="hello")


if __name__ == "__main__":
    langfuse = Langfuse(public_key="pk", secret_key="sk", span_exporter=OTLPSpanExporter())
    perform([agent_with_a_tool, chat_streamed, responses], langfuse.flush)
