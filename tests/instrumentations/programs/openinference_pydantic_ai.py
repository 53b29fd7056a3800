"""OpenInference's words beside Pydantic AI's own, on the same spans."""

from openinference.instrumentation.pydantic_ai import OpenInferenceSpanProcessor
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pydantic_ai import Agent
from pydantic_ai.agent import InstrumentationSettings

from tests.instrumentations.programs import pydantic_ai_calls
from tests.instrumentations.programs.exporting import perform

if __name__ == "__main__":
    tracers = TracerProvider()
    tracers.add_span_processor(OpenInferenceSpanProcessor())
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    Agent.instrument_all(InstrumentationSettings(tracer_provider=tracers))
    perform(pydantic_ai_calls.ALL, tracers.shutdown)
