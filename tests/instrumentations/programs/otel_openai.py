"""OpenTelemetry's own instrumentor of OpenAI's client; messages come as log events."""

from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

from tests.instrumentations.programs import openai_calls
from tests.instrumentations.programs.exporting import perform, stock_loggers, stock_tracers

if __name__ == "__main__":
    tracers, loggers = stock_tracers(), stock_loggers()
    OpenAIInstrumentor().instrument(tracer_provider=tracers, logger_provider=loggers)
    perform(openai_calls.ALL, tracers.shutdown, loggers.shutdown)
