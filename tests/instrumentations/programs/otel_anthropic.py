"""OpenTelemetry's own instrumentor of Anthropic's client; messages lie on the spans."""

from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor

from tests.instrumentations.programs import anthropic_calls
from tests.instrumentations.programs.exporting import perform, stock_loggers, stock_tracers

if __name__ == "__main__":
    tracers, loggers = stock_tracers(), stock_loggers()
    AnthropicInstrumentor().instrument(tracer_provider=tracers, logger_provider=loggers)
    perform(anthropic_calls.ALL, tracers.shutdown, loggers.shutdown, inside="handle")
