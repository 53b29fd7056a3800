"""`configure(exporters=…)`: other people's exporters, each with a queue and a thread of its own.

    Shadow → **BatchedExporter** → processor → exporter.export → Jaeger, say

One that hangs or fails fills its own queue, which is bounded, and nobody else's.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from backtrail._boundary import complain
from backtrail._delivery.clean import clean
from backtrail._delivery.delivery import Answer, Outcome
from backtrail._delivery.parcel import Parcel
from backtrail._delivery.processor import Processor
from backtrail._delivery.size import size_of
from backtrail._payloads.codec import type_name

EXIT_SECONDS = 1.0


class ExporterDelivery:
    """One exporter, as our processor sends through it."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.endpoint = type_name(type(exporter))
        self._exporter = exporter

    def pack(self, spans: Sequence[ReadableSpan]) -> list[Parcel]:
        cleaned = [clean(span) for span in spans]
        return [Parcel(len(spans), sum(map(size_of, cleaned)), spans=cleaned)]

    def send(self, parcel: Parcel) -> Answer:
        if self._exporter.export(parcel.spans) is SpanExportResult.SUCCESS:
            return Answer(Outcome.DELIVERED)
        # What an exporter gives up on, after all the tries it makes, is not to be offered again.
        complain(f"the exporter {self.endpoint}", "%s could not export %d spans", self.endpoint, parcel.span_count)
        return Answer(Outcome.REFUSED)

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def renew(self) -> None:
        """Exporters look after forks themselves, if they do."""


class BatchedExporter(SpanProcessor):
    """An exporter as a span processor that never waits."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.exporter = exporter
        self._processor = Processor(ExporterDelivery(exporter), heartbeat=None)

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            self._processor.on_end(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._processor.flush(timeout_millis / 1_000)

    def shutdown(self) -> None:
        self._processor.shutdown(EXIT_SECONDS)


def batched(exporters: Sequence[SpanExporter], before: Sequence[SpanProcessor]) -> list[SpanProcessor]:
    """Each exporter behind its own queue; one that had its queue before keeps it."""
    had = {id(each.exporter): each for each in before if isinstance(each, BatchedExporter)}
    return [had.get(id(exporter)) or BatchedExporter(exporter) for exporter in exporters]
