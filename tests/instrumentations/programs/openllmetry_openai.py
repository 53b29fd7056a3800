"""OpenLLMetry's instrumentor of OpenAI's client."""

from opentelemetry.instrumentation.openai import OpenAIInstrumentor

from tests.instrumentations.programs import openai_calls
from tests.instrumentations.programs.exporting import perform, stock_tracers

if __name__ == "__main__":
    tracers = stock_tracers()
    OpenAIInstrumentor().instrument(tracer_provider=tracers)
    perform(openai_calls.ALL, tracers.shutdown)
