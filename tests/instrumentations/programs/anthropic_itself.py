"""Anthropic's client, which tells OpenTelemetry of its calls without any instrumentor."""

import os

os.environ["ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE"] = "content"

from tests.instrumentations.programs import anthropic_calls
from tests.instrumentations.programs.exporting import perform, stock_tracers

if __name__ == "__main__":
    tracers = stock_tracers()
    perform(anthropic_calls.ALL, tracers.shutdown)
