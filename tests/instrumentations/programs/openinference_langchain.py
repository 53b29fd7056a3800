"""OpenInference's instrumentor of LangChain and LangGraph."""

from openinference.instrumentation.langchain import LangChainInstrumentor

from tests.instrumentations.programs import langgraph_calls
from tests.instrumentations.programs.exporting import perform, stock_tracers

if __name__ == "__main__":
    tracers = stock_tracers()
    LangChainInstrumentor().instrument(tracer_provider=tracers)
    perform(langgraph_calls.ALL, tracers.shutdown, inside="handle")
