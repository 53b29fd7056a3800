"""What became of every span, so that at any moment

        received = stored + duplicates + rejected + quarantined + waiting

    admission, inbox, writer → **ledger** → GET /metrics

Each entry changes both sides under one lock; a scrape reads them under the same lock. Spans found on disk
at start count as received, or the sum would not come out in a second life.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(slots=True)
class SpanCounts:
    received: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    waiting: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


class Ledger(Collector):
    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = Lock()
        self._spans = SpanCounts()
        self._refused_requests: Counter[str] = Counter()
        registry.register(self)

    def found(self, *, waiting: int, quarantined: int) -> None:
        with self._lock:
            self._spans.received += waiting + quarantined
            self._spans.waiting += waiting
            self._spans.quarantined += quarantined

    def kept(self, spans: int) -> None:
        with self._lock:
            self._spans.received += spans
            self._spans.waiting += spans

    def repeated(self, spans: int) -> None:
        with self._lock:
            self._spans.received += spans
            self._spans.duplicates += spans

    def rejected(self, reason: str, spans: int) -> None:
        with self._lock:
            self._spans.received += spans
            self._spans.rejected[reason] += spans

    def stored(self, spans: int) -> None:
        with self._lock:
            self._spans.waiting -= spans
            self._spans.stored += spans

    def quarantined(self, spans: int) -> None:
        with self._lock:
            self._spans.waiting -= spans
            self._spans.quarantined += spans

    def refused_request(self, reason: str) -> None:
        """A request that was never taken: how many spans it held is not known, and its sender was told."""
        with self._lock:
            self._refused_requests[reason] += 1

    @property
    def spans(self) -> SpanCounts:
        with self._lock:
            counts = self._spans
            return SpanCounts(
                counts.received,
                counts.stored,
                counts.duplicates,
                counts.quarantined,
                counts.waiting,
                Counter(counts.rejected),
            )

    def collect(self) -> Iterator[Metric]:
        spans = self.spans
        yield CounterMetricFamily(
            "backtrail_spans_received", "Spans that arrived, whatever became of them", spans.received
        )
        yield CounterMetricFamily("backtrail_spans_stored", "Spans the store has taken", spans.stored)
        yield CounterMetricFamily("backtrail_spans_duplicates", "Spans of requests seen before", spans.duplicates)
        rejected = CounterMetricFamily("backtrail_spans_rejected", "Spans left out of their request", labels=["reason"])
        for reason, count in spans.rejected.items():
            rejected.add_metric([reason], count)
        yield rejected
        yield GaugeMetricFamily("backtrail_spans_quarantined", "Spans the store refused, kept aside", spans.quarantined)
        yield GaugeMetricFamily("backtrail_spans_waiting", "Spans in the inbox, not yet in the store", spans.waiting)
        refused = CounterMetricFamily("backtrail_requests_refused", "Requests not taken at all", labels=["reason"])
        with self._lock:
            for reason, count in self._refused_requests.items():
                refused.add_metric([reason], count)
        yield refused
