"""OpenTelemetry's own instrumentors of the OpenAI Agents SDK and, for the calls of its model, of OpenAI's client."""

from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.instrumentation.genai.openai_agents import OpenAIAgentsInstrumentor

from tests.instrumentations.programs import agents_calls
from tests.instrumentations.programs.exporting import perform, stock_loggers, stock_tracers

if __name__ == "__main__":
    tracers, loggers = stock_tracers(), stock_loggers()
    for instrumentor in (OpenAIAgentsInstrumentor(), OpenAIInstrumentor()):
        instrumentor.instrument(tracer_provider=tracers, logger_provider=loggers)
    perform(agents_calls.ALL, tracers.shutdown, loggers.shutdown)
