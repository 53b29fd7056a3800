"""A program that logs and calls a model, with OpenTelemetry alone. `test_stock_logs.py` runs it.

python stock_logs_program.py http|grpc MODEL_URL      sends spans and log records and prints, as JSON, what it sent
"""

import json
import sys
import time

from openai import OpenAI
from opentelemetry import _logs, trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.util.types import AnyValue

BODIES: list[AnyValue] = [
    "plain",
    7,
    2**53 + 1,
    1.0,
    True,
    ["a", "b"],
    [1, "x", None],
    {"order": {"id": 7}, "paid": False},
    None,
]
ATTRIBUTES: dict[str, AnyValue] = {"attempt": 2, "wait": 0.5, "tags": ["a"], "user": {"id": 7}}


def exporters(protocol: str) -> tuple[SpanExporter, LogRecordExporter]:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans

        return GrpcSpans(), GrpcLogs()
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans

    return HttpSpans(), HttpLogs()


def main(protocol: str, model_url: str) -> None:
    resource = Resource.create({"service.name": "stock-logs"})
    tracers, logs = TracerProvider(resource=resource), LoggerProvider(resource=resource)
    spans_to, logs_to = exporters(protocol)
    tracers.add_span_processor(BatchSpanProcessor(spans_to))
    logs.add_log_record_processor(BatchLogRecordProcessor(logs_to))
    trace.set_tracer_provider(tracers)
    _logs.set_logger_provider(logs)
    OpenAIInstrumentor().instrument()

    sent_at = time.time_ns()
    logger = logs.get_logger("stock.program", "1.0")
    with tracers.get_tracer("stock.program").start_as_current_span("outer") as outer:
        for number, body in enumerate(BODIES):
            logger.emit(
                LogRecord(
                    timestamp=sent_at + number,
                    body=body,
                    severity_number=SeverityNumber.WARN,
                    severity_text="WARNING",
                    event_name=f"app.event.{number}",
                    attributes=ATTRIBUTES,
                )
            )
        openai = OpenAI(base_url=f"{model_url}/v1", api_key="sk-secret")
        openai.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}])
    logger.emit(LogRecord(body="of no trace", severity_number=SeverityNumber.INFO))
    tracers.shutdown()
    logs.shutdown()

    context = outer.get_span_context()
    ids = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    print(json.dumps(ids | {"sent_at": sent_at}))


if __name__ == "__main__":
    main(*sys.argv[1:])
