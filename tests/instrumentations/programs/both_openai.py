"""Two instrumentors on one client: OpenInference's and OpenLLMetry's each tell of every call."""

from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry.instrumentation.openai import OpenAIInstrumentor as OpenLLMetry

from tests.instrumentations.programs import openai_calls
from tests.instrumentations.programs.exporting import perform, stock_tracers

if __name__ == "__main__":
    tracers = stock_tracers()
    OpenInference().instrument(tracer_provider=tracers)
    OpenLLMetry().instrument(tracer_provider=tracers)
    calls = [openai_calls.chat, openai_calls.chat_streamed, openai_calls.responses, openai_calls.embeddings]
    perform(calls, tracers.shutdown, inside="handle")
