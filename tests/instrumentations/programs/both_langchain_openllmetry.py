"""LangChain and the client below it, both instrumented by OpenLLMetry."""

from opentelemetry.instrumentation.langchain import LangchainInstrumentor
from opentelemetry.instrumentation.openai import OpenAIInstrumentor

from tests.instrumentations.programs import langgraph_calls
from tests.instrumentations.programs.exporting import perform, stock_tracers

if __name__ == "__main__":
    tracers = stock_tracers()
    LangchainInstrumentor().instrument(tracer_provider=tracers)
    OpenAIInstrumentor().instrument(tracer_provider=tracers)
    perform([langgraph_calls.graph, langgraph_calls.chain_streamed], tracers.shutdown, inside="handle")
