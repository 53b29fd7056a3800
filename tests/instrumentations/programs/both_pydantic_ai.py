"""Pydantic AI tells of itself, OpenInference of OpenAI's client below it, and Anthropic's client of itself."""

from openinference.instrumentation.openai import OpenAIInstrumentor
from pydantic_ai import Agent
from pydantic_ai.agent import InstrumentationSettings

from tests.instrumentations.programs import pydantic_ai_calls
from tests.instrumentations.programs.exporting import perform, stock_tracers

if __name__ == "__main__":
    tracers = stock_tracers()
    Agent.instrument_all(InstrumentationSettings(tracer_provider=tracers))
    OpenAIInstrumentor().instrument(tracer_provider=tracers)
    perform(pydantic_ai_calls.ALL, tracers.shutdown)
