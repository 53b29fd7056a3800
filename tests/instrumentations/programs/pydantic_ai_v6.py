"""Pydantic AI's own instrumentation, version 6 of its format."""

from pydantic_ai import Agent
from pydantic_ai.agent import InstrumentationSettings

from tests.instrumentations.programs import pydantic_ai_calls
from tests.instrumentations.programs.exporting import perform, stock_tracers

if __name__ == "__main__":
    tracers = stock_tracers()
    Agent.instrument_all(InstrumentationSettings(tracer_provider=tracers, version=6))
    perform(pydantic_ai_calls.ALL, tracers.shutdown)
