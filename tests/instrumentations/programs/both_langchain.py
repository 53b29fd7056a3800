"""LangChain and the client below it, both instrumented: OpenInference tells of the one, OpenTelemetry of the other."""

from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

from tests.instrumentations.programs import langgraph_calls
from tests.instrumentations.programs.exporting import perform, stock_tracers

if __name__ == "__main__":
    tracers = stock_tracers()
    LangChainInstrumentor().instrument(tracer_provider=tracers)
    OpenAIInstrumentor().instrument(tracer_provider=tracers)
    perform([langgraph_calls.graph, langgraph_calls.chain_streamed], tracers.shutdown, inside="handle")
