"""Spans other instrumentation makes: those inside a run get its lineage and go the same way.

    any OpenTelemetry library → provider → **ForeignSpans** → processor

It hangs in the provider that `configure(tracer_provider=…)` names, else in the global one; that is asked for when
the first run starts, because a program may set it after `configure()`. If there is none by then, ours takes the place,
since OpenTelemetry keeps the first it is given. From a program's own provider only what belongs to a run is taken.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.util.types import AttributeValue

from backtrail import semconv
from backtrail._boundary import complain, never_raise
from backtrail._delivery.lifetime import in_forked_child
from backtrail._payloads.codec import type_name
from backtrail._payloads.redacted_spans import bare_span, redacted_span
from backtrail._runs.run import active_runs
from backtrail._runs.scope import current_position
from backtrail._spans.copied import copied
from backtrail._spans.recorder import Recorder, current_recorder
from backtrail._spans.span import SCOPE

from .beside import Beside, Shadow

_stamping = never_raise("stamping a span with its lineage")
_taking = never_raise("taking a span of other instrumentation")


class ForeignSpans(SpanProcessor):
    """Stamps spans at their start and forwards them at their end."""

    def __init__(self, *, takes_all: bool) -> None:
        self._takes_all = takes_all

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if isinstance(span, Shadow):
            return
        with _stamping:
            if lineage := _lineage_of(span):
                span.set_attributes(lineage)
        if (beside := _recorder_of(span).beside) is not None and self._takes(span):
            beside.foreign_started(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        recorder = _recorder_of(span)
        if recorder.sink is None or span.context is None or not span.context.trace_flags.sampled:
            return
        if span.instrumentation_scope is SCOPE or not self._takes(span):
            return
        with _taking:
            taken = _with_resource(span, recorder.resource) if self._takes_all else _stamped(span)
            taken = redacted_span(bare_span(taken) if _is_withheld(recorder) else taken, recorder.redaction)
            recorder.sink.on_end(taken)
            if recorder.beside is not None:
                recorder.beside.foreign_ended(taken)

    def _takes(self, span: ReadableSpan) -> bool:
        if self._takes_all or semconv.TASK_ID in (span.attributes or {}):
            return True
        # A provider's limit may have pushed the stamp out, as the oldest of many attributes.
        return span.context is not None and span.context.trace_id in active_runs

    def shutdown(self) -> None:
        return None

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return current_recorder().flush(timeout_millis / 1000)


def _lineage_of(span: ReadableSpan) -> Mapping[str, AttributeValue]:
    trace_id = span.context.trace_id if span.context is not None else 0
    position = current_position.get()
    if position is not None and position.runtime.trace_id == trace_id:
        return (position.agent or position.runtime).attributes
    runtime = active_runs.get(trace_id)
    return runtime.attributes if runtime is not None else {}


def _stamped(span: ReadableSpan) -> ReadableSpan:
    if semconv.TASK_ID in (span.attributes or {}):
        return span
    return copied(span, attributes={**_lineage_of(span), **(span.attributes or {})})


def _is_withheld(recorder: Recorder) -> bool:
    position = current_position.get()
    return recorder.withholds or (position is not None and position.step is not None and position.step.plan.withholds)


def _recorder_of(span: ReadableSpan) -> Recorder:
    """That of its run, which may have started before the last `configure()`."""
    runtime = active_runs.get(span.context.trace_id) if span.context is not None else None
    return current_recorder() if runtime is None else runtime.recorder


def _with_resource(span: ReadableSpan, resource: Resource) -> ReadableSpan:
    """A span of our own provider, which was made for the resource of the first `configure()`."""
    return span if span.resource is resource else copied(span, resource=resource)


_joining = threading.Lock()
_joined: list[trace.TracerProvider] = []
_ours: TracerProvider | None = None


def _after_fork() -> None:
    global _joining
    _joining = threading.Lock()


in_forked_child(_after_fork)


def takes_span_processors(provider: trace.TracerProvider) -> bool:
    return callable(getattr(provider, "add_span_processor", None))


def join_provider(recorder: Recorder, provider: trace.TracerProvider) -> None:
    """Take the run's spans of a program's own provider, and let its processors see ours."""
    if not any(joined is provider for joined in _joined):
        provider.add_span_processor(ForeignSpans(takes_all=False))  # type: ignore[attr-defined]
        _joined.append(provider)
    if recorder.beside is None:
        recorder.beside = Beside()
    recorder.beside.join(provider)


def join_global_provider(recorder: Recorder) -> None:
    """Join the global provider, or be it: called when a run starts, does something for the first of a recorder."""
    global _ours
    with _joining:
        if not recorder.joins_global_provider:
            return
        provider = trace.get_tracer_provider()
        if isinstance(provider, trace.ProxyTracerProvider):
            _ours = _own_provider(recorder)
            trace.set_tracer_provider(_ours)
            provider = trace.get_tracer_provider()
        if provider is not _ours:
            if takes_span_processors(provider):
                join_provider(recorder, provider)
            else:
                message = "the global TracerProvider, %s, takes no span processors: its spans are not recorded"
                complain("the global provider", message, type_name(type(provider)))
        recorder.joins_global_provider = False


def _own_provider(recorder: Recorder) -> TracerProvider:
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
    provider = TracerProvider(
        sampler=ALWAYS_ON,
        resource=recorder.resource,
        id_generator=recorder.ids,
        span_limits=unlimited,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(ForeignSpans(takes_all=True))
    return provider
