"""Our spans for those who look on: the processors of a program's own provider, other exporters.

    RecordedSpan → **Beside → Shadow** → a provider's span processors, `configure(exporters=…)`

They expect a span of OpenTelemetry's SDK and may ask for its class, so each of ours has a shadow: a span of
the SDK with the same ids, started and ended with it. What only a replay needs (pending rows, state, checkpoints,
effects) has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, SynchronousMultiSpanProcessor
from opentelemetry.trace import Link

from backtrail import semconv
from backtrail._boundary import complain, never_raise
from backtrail._payloads.codec import type_name
from backtrail._payloads.content import is_over, truncated_text
from backtrail._spans.span import SCOPE, RecordedSpan

MAX_ATTRIBUTE_BYTES = 65_536

_KINDS = frozenset({"run", "agent", "step", "attempt"})
_showing = never_raise("showing a span to other span processors")


class Shadow(Span):
    """A span of ours as OpenTelemetry's SDK would have made it."""


class Beside:
    """Everybody who sees our spans besides Backtrail's server."""

    def __init__(self, outlets: Sequence[SpanProcessor] = ()) -> None:
        self.outlets = tuple(outlets)
        self._host: trace.Tracer | None = None
        self._limits = SpanLimits()
        self._all = _one_of(self.outlets)

    def join(self, provider: trace.TracerProvider) -> None:
        """Let the processors of this provider see our spans."""
        tracer = provider.get_tracer(SCOPE.name, SCOPE.version)
        if _sdk_tracer(tracer) is None:
            complain("a provider", "%s has no span processors to show our spans to", type_name(type(provider)))
            return
        self._host = tracer

    # --- Our spans --------------------------------------------------------------------------------

    def started(self, span: RecordedSpan) -> None:
        if span.attributes.get(semconv.KIND) not in _KINDS:
            return
        with _showing:
            host = _sdk_tracer(self._host)
            shadow = Shadow(
                name=span.name,
                context=span.context,
                parent=span.parent,
                resource=span.recorder.resource if host is None else host.resource,
                attributes=_shortened(span.attributes),
                links=[Link(link.context, link.attributes) for link in span.links],
                kind=span.kind,
                span_processor=self._all if host is None else _one_of((host.span_processor, self._all)),
                limits=self._limits,
                instrumentation_scope=SCOPE,
            )
            shadow.start(span.start_time, parent_context=get_current())
            span.shadow = shadow

    def ended(self, span: RecordedSpan, finished: ReadableSpan) -> None:
        shadow = span.shadow
        if shadow is None:
            return
        span.shadow = None
        with _showing:
            shadow.update_name(finished.name)
            shadow.set_attributes(_shortened(finished.attributes or {}))
            shadow.set_status(finished.status)
            for event in finished.events:
                shadow.add_event(event.name, event.attributes, event.timestamp)
            for link in finished.links[len(shadow.links) :]:
                shadow.add_link(link.context, link.attributes)
            shadow.end(finished.end_time)

    # --- Spans of other instrumentation within our runs -------------------------------------------

    def foreign_started(self, span: Span, parent_context: Context | None) -> None:
        if self.outlets:
            with _showing:
                self._all.on_start(span, parent_context)

    def foreign_ended(self, span: ReadableSpan) -> None:
        if self.outlets:
            with _showing:
                self._all.on_end(span)

    # --- The end ----------------------------------------------------------------------------------

    def flush(self, timeout: float) -> bool:
        with _showing:
            return self._all.force_flush(int(timeout * 1_000))
        return False

    def shutdown(self) -> None:
        self.stop_all_but(())

    def stop_all_but(self, kept: Sequence[SpanProcessor]) -> None:
        """Stop the outlets that nobody uses any more."""
        for outlet in self.outlets:
            if outlet not in kept:
                with _showing:
                    outlet.shutdown()


def _sdk_tracer(tracer: Any) -> Any:
    """The tracer if it is the SDK's, or the SDK's tracer that it wraps, as Logfire's does: at the moment."""
    if not hasattr(tracer, "span_processor"):
        tracer = getattr(tracer, "tracer", None)
    return tracer if hasattr(tracer, "span_processor") else None


def _one_of(processors: Sequence[SpanProcessor]) -> SpanProcessor:
    one = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call]
    for processor in processors:
        one.add_span_processor(processor)
    return one


def _shortened(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Payloads of up to 4 MiB are for our server; one of them would make another's refuse the batch."""
    limit = MAX_ATTRIBUTE_BYTES
    return {
        name: truncated_text(value, limit) if isinstance(value, str) and is_over(value, limit) else value
        for name, value in attributes.items()
    }
