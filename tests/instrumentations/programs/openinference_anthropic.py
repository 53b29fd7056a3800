"""OpenInference's instrumentor of Anthropic's client."""

from openinference.instrumentation.anthropic import AnthropicInstrumentor

from tests.instrumentations.programs import anthropic_calls
from tests.instrumentations.programs.exporting import perform, stock_tracers

if __name__ == "__main__":
    tracers = stock_tracers()
    AnthropicInstrumentor().instrument(tracer_provider=tracers)
    perform(anthropic_calls.ALL, tracers.shutdown, inside="handle")
