"""What became of every span and of every log record, so that at any moment

        received = stored + duplicates + rejected + quarantined + waiting

    admission, inbox, writer → **ledger** → GET /metrics

Each entry changes both sides under one lock; a scrape reads them under the same lock. What is found on disk
at start counts as received, or the sum would not come out in a second life.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from threading import Lock

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backtrail_ingest.signals import LOGS, SIGNALS, TRACES, Signal

Items = Counter[Signal]


@dataclass(slots=True)
class Counts:
    received: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    waiting: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


class Ledger(Collector):
    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = Lock()
        self._counts = {signal: Counts() for signal in SIGNALS.values()}
        self._refused_requests: Counter[str] = Counter()
        registry.register(self)

    def found(self, *, waiting: Items, quarantined: Items) -> None:
        with self._lock:
            for signal, counts in self._counts.items():
                counts.received += waiting[signal] + quarantined[signal]
                counts.waiting += waiting[signal]
                counts.quarantined += quarantined[signal]

    def recounted(self, *, waiting: Items, quarantined: Items) -> None:
        """What is on disk after a fault: what was kept and is not there any more is lost, and has to be said."""
        with self._lock:
            for signal, counts in self._counts.items():
                more = waiting[signal] + quarantined[signal] - counts.waiting - counts.quarantined
                counts.waiting, counts.quarantined = waiting[signal], quarantined[signal]
                if more < 0:
                    counts.rejected["lost to damage"] -= more
                else:
                    counts.received += more

    def kept(self, items: Items) -> None:
        with self._lock:
            for signal, count in items.items():
                self._counts[signal].received += count
                self._counts[signal].waiting += count

    def repeated(self, signal: Signal, count: int) -> None:
        with self._lock:
            self._counts[signal].received += count
            self._counts[signal].duplicates += count

    def rejected(self, signal: Signal, reason: str, count: int) -> None:
        with self._lock:
            self._counts[signal].received += count
            self._counts[signal].rejected[reason] += count

    def stored(self, items: Items) -> None:
        with self._lock:
            for signal, count in items.items():
                self._counts[signal].waiting -= count
                self._counts[signal].stored += count

    def quarantined(self, items: Items) -> None:
        with self._lock:
            for signal, count in items.items():
                self._counts[signal].waiting -= count
                self._counts[signal].quarantined += count

    def retried(self, items: Items) -> None:
        """Out of quarantine, to be written again."""
        self.quarantined(Counter({signal: -count for signal, count in items.items()}))

    def dropped(self, items: Items) -> None:
        """Out of quarantine for good."""
        with self._lock:
            for signal, count in items.items():
                self._counts[signal].quarantined -= count
                self._counts[signal].rejected["dropped"] += count

    def refused_request(self, reason: str) -> None:
        """A request that was never taken: what it held is not known, and its sender was told."""
        with self._lock:
            self._refused_requests[reason] += 1

    @property
    def spans(self) -> Counts:
        return self.of(TRACES)

    @property
    def log_records(self) -> Counts:
        return self.of(LOGS)

    @property
    def received(self) -> int:
        with self._lock:
            return sum(counts.received for counts in self._counts.values())

    @property
    def waiting(self) -> int:
        with self._lock:
            return sum(counts.waiting for counts in self._counts.values())

    def of(self, signal: Signal) -> Counts:
        with self._lock:
            counts = self._counts[signal]
            return replace(counts, rejected=Counter(counts.rejected))

    def collect(self) -> Iterator[Metric]:
        for signal in SIGNALS.values():
            yield from families(signal, self.of(signal))
        refused = CounterMetricFamily("backtrail_requests_refused", "Requests not taken at all", labels=["reason"])
        with self._lock:
            for reason, count in self._refused_requests.items():
                refused.add_metric([reason], count)
        yield refused


def families(signal: Signal, counts: Counts) -> Iterator[Metric]:
    prefix = f"backtrail_{signal.items}"
    what = signal.items.replace("_", " ").capitalize()
    yield CounterMetricFamily(f"{prefix}_received", f"{what} that arrived, whatever became of them", counts.received)
    yield CounterMetricFamily(f"{prefix}_stored", f"{what} the store has taken", counts.stored)
    yield CounterMetricFamily(f"{prefix}_duplicates", f"{what} of requests seen before", counts.duplicates)
    rejected = CounterMetricFamily(f"{prefix}_rejected", f"{what} left out of their request", labels=["reason"])
    for reason, count in counts.rejected.items():
        rejected.add_metric([reason], count)
    yield rejected
    yield GaugeMetricFamily(f"{prefix}_quarantined", f"{what} the store refused, kept aside", counts.quarantined)
    yield GaugeMetricFamily(f"{prefix}_waiting", f"{what} in the inbox, not yet in the store", counts.waiting)
