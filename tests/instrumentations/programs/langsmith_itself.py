"""LangSmith's SDK, told to export with OpenTelemetry: its decorator, its OpenAI client and what LangChain tells it."""

import os

os.environ |= {"LANGSMITH_TRACING": "true", "LANGSMITH_TRACING_MODE": "otel", "LANGSMITH_API_KEY": "key"}
os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"  # the client's own spans would each be a trace

from langsmith import Client, traceable
from langsmith.wrappers import wrap_openai

from tests.instrumentations.programs import langgraph_calls, openai_calls
from tests.instrumentations.programs.exporting import perform

langsmith = Client()


@traceable(run_type="tool", client=langsmith)
def look_up(city: str) -> str:
    return "sunny"


@traceable(client=langsmith, metadata={"session_id": "thread-7"}, tags=["vip", "new"])
def support(said: str) -> str:
    openai_calls.chat_with_tools()
    return look_up("Paris")


def agent_with_a_tool() -> None:
    support("hello")


if __name__ == "__main__":
    wrap_openai(openai_calls.client, tracing_extra={"client": langsmith})
    calls = [openai_calls.chat_streamed, openai_calls.responses]
    perform([agent_with_a_tool, *calls, *langgraph_calls.ALL], langsmith.flush)
