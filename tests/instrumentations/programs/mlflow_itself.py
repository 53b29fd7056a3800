"""MLflow's SDK, which exports with OpenTelemetry where an endpoint is given: its decorator and what it patches."""

import mlflow
import mlflow.anthropic
import mlflow.openai

from tests.instrumentations.programs import anthropic_calls, openai_calls
from tests.instrumentations.programs.exporting import perform


@mlflow.trace(span_type="TOOL")
def look_up(city: str) -> str:
    return "sunny"


@mlflow.trace(span_type="AGENT")
def support(said: str) -> str:
    openai_calls.chat_with_tools()
    return look_up("Paris")


def agent_with_a_tool() -> None:
    support("hello")


if __name__ == "__main__":
    mlflow.openai.autolog()
    mlflow.anthropic.autolog()
    calls = [openai_calls.chat_streamed, openai_calls.responses, openai_calls.embeddings, anthropic_calls.message]
    perform([agent_with_a_tool, *calls], mlflow.flush_trace_async_logging)
