"""Logfire with another server than its own. It sends a span when it begins, too, under an id of another's."""

import os
from urllib.parse import urljoin

import logfire
from logfire import AdvancedOptions

from tests.instrumentations.programs import anthropic_calls, openai_calls, pydantic_ai_calls
from tests.instrumentations.programs.exporting import perform

# Only what goes to "Logfire" tells of spans that have begun, and only if they are still open when it is sent.
server = urljoin(os.environ.pop("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), "/")


def spans_sent_while_open() -> None:
    with logfire.span("handle {what}", what="an order"):
        logfire.info("looked at")
        openai_calls.chat()
        with logfire.span("pack"):
            logfire.force_flush()


if __name__ == "__main__":
    logfire.configure(token="key", console=False, metrics=False, advanced=AdvancedOptions(base_url=server))
    logfire.instrument_pydantic_ai()
    logfire.instrument_openai(openai_calls.client)
    logfire.instrument_anthropic(anthropic_calls.client)
    calls = [openai_calls.chat_streamed, openai_calls.responses, anthropic_calls.message, *pydantic_ai_calls.ALL]
    perform([spans_sent_while_open, *calls], logfire.shutdown, inside="handle")
