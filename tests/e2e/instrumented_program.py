"""A program whose calls of a model somebody else's instrumentation records. `test_instrumented_messages.py` runs it.

python instrumented_program.py INSTRUMENTATION MODEL_URL      sends spans and log records and prints the trace's id
"""

import importlib
import sys
from typing import Any

from openai import OpenAI
from opentelemetry import _logs, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

CALL = {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": '{"q": "lamp"}'}}
MESSAGES: list[Any] = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "a lamp?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": '{"hits": 1}'},
    {"role": "user", "content": "which?"},
]
PARAMETERS = {"type": "object", "properties": {"q": {"type": "string"}}}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "search", "description": "finds", "parameters": PARAMETERS}}
]


def main(instrumentation: str, model_url: str) -> None:
    tracers, logs = TracerProvider(), LoggerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    trace.set_tracer_provider(tracers)
    _logs.set_logger_provider(logs)
    importlib.import_module(instrumentation).OpenAIInstrumentor().instrument()

    with tracers.get_tracer("program").start_as_current_span("outer") as outer:
        openai = OpenAI(base_url=f"{model_url}/v1", api_key="sk-secret")
        openai.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, tools=TOOLS)
    tracers.shutdown()
    logs.shutdown()
    print(f"{outer.get_span_context().trace_id:032x}")


if __name__ == "__main__":
    main(*sys.argv[1:])
