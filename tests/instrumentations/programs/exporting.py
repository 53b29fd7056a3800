"""What all programs do alike: export with OpenTelemetry's own exporters, and try their scenarios one after the other.

program → **exporting** → (OTLP) → server

`OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OPENAI_BASE_URL` and the like say who and where. A scenario
is a function and makes one trace, below a span of the application's own where it would make several. The program prints
their names in order, once all is delivered.
"""

import asyncio
import contextvars
import inspect
import json
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from opentelemetry import _logs, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

OPENAI_MODEL = "gpt-5-mini"
ANTHROPIC_MODEL = "claude-sonnet-4-5"

Scenario = Callable[[], Any]


def stock_tracers() -> TracerProvider:
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    return tracers


def stock_loggers() -> LoggerProvider:
    loggers = LoggerProvider()
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    _logs.set_logger_provider(loggers)
    return loggers


def perform(scenarios: list[Scenario], *deliver: Callable[[], object], inside: str = "") -> None:
    """`inside` names the application's span, if there shall be one."""
    with asyncio.Runner() as loop:
        for scenario in scenarios:
            with trace.get_tracer("app").start_as_current_span(inside) if inside else nullcontext():
                made = scenario()
                if inspect.iscoroutine(made):
                    loop.run(made, context=contextvars.copy_context())
    for each in deliver:
        each()
    print(json.dumps([one.__name__ for one in scenarios]))
