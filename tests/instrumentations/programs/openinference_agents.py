"""OpenInference's instrumentor of the OpenAI Agents SDK."""

from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

from tests.instrumentations.programs import agents_calls
from tests.instrumentations.programs.exporting import perform, stock_tracers

if __name__ == "__main__":
    tracers = stock_tracers()
    OpenAIAgentsInstrumentor().instrument(tracer_provider=tracers)
    perform(agents_calls.ALL, tracers.shutdown)
