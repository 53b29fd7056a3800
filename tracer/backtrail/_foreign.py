"""Spans other instrumentation makes: those inside a run get its lineage and go the same way.

    any OpenTelemetry library → provider → **ForeignSpans** → _processor

It hangs in the global provider: ours if there was none, else the program's own, from which it takes
only what belongs to a run.
"""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from . import semconv
from ._boundary import never_raise
from ._recorder import Recorder, current_recorder
from ._run import active_runs
from ._scope import current_position

_stamping = never_raise("stamping a span with its lineage")
_taking = never_raise("taking a span of other instrumentation")


class ForeignSpans(SpanProcessor):
    """Stamps spans at their start and forwards them at their end."""

    def __init__(self, *, takes_all: bool) -> None:
        self._takes_all = takes_all

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        with _stamping:
            context = span.get_span_context()
            position = current_position.get()
            if context is None:
                return
            if position is not None and position.runtime.trace_id == context.trace_id:
                inside = position.agent or position.runtime
                span.set_attributes(inside.attributes)
            elif (runtime := active_runs.get(context.trace_id)) is not None:
                span.set_attributes(runtime.attributes)

    def on_end(self, span: ReadableSpan) -> None:
        sink = current_recorder().sink
        if sink is None or span.context is None or not span.context.trace_flags.sampled:
            return
        if self._takes_all or semconv.TASK_ID in (span.attributes or {}):
            with _taking:
                sink.on_end(span)

    def shutdown(self) -> None:
        return None

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return current_recorder().flush(timeout_millis / 1000)


_provider: TracerProvider | None = None


def join_global_provider(recorder: Recorder) -> None:
    """Have other instrumentation's spans, once in a process."""
    global _provider
    if _provider is not None:
        return
    existing = trace.get_tracer_provider()
    if isinstance(existing, TracerProvider):
        existing.add_span_processor(ForeignSpans(takes_all=False))
        _provider = existing
        return
    unlimited = SpanLimits(
        max_attributes=SpanLimits.UNSET,
        max_events=SpanLimits.UNSET,
        max_links=SpanLimits.UNSET,
        max_span_attributes=SpanLimits.UNSET,
        max_event_attributes=SpanLimits.UNSET,
        max_link_attributes=SpanLimits.UNSET,
        max_attribute_length=SpanLimits.UNSET,
        max_span_attribute_length=SpanLimits.UNSET,
    )
    _provider = TracerProvider(
        sampler=ALWAYS_ON,
        resource=recorder.resource,
        id_generator=recorder.ids,
        span_limits=unlimited,
        shutdown_on_exit=False,
    )
    _provider.add_span_processor(ForeignSpans(takes_all=True))
    if isinstance(existing, trace.ProxyTracerProvider):
        trace.set_tracer_provider(_provider)
