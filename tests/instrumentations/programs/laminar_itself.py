"""Laminar's SDK with another server than its own: its decorator and the clients it instruments."""

import os
from urllib.parse import urlsplit

from lmnr import Instruments, Laminar, observe

from tests.instrumentations.programs.exporting import perform

server = urlsplit(os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])


@observe(span_type="TOOL")
def look_up(city: str) -> str:
    return "sunny"


@observe(session_id="thread-7", user_id="ada")
def support(said: str) -> str:
    openai_calls.chat_with_tools()
    return look_up("Paris")


def agent_with_a_tool() -> None:
    support("hello")


if __name__ == "__main__":
    Laminar.initialize(
        project_api_key="key",
        base_url=f"http://{server.hostname}",
        http_port=server.port,
        force_http=True,
        instruments={Instruments.OPENAI, Instruments.ANTHROPIC},
    )
    from tests.instrumentations.programs import anthropic_calls, openai_calls  # it wants to be first

    calls = [openai_calls.chat_streamed, openai_calls.responses, anthropic_calls.message]
    perform([agent_with_a_tool, *calls], Laminar.flush)
