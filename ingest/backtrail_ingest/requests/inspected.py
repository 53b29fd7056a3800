"""What inspection says of a request: the body to keep, and what was wrong with the spans that are not in it.

inspection, flatten → **inspected** → envelope, admission
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from backtrail_ingest.signals import TRACES, Signal

FAULTS_NAMED = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one span was left out: the field at fault, and a sentence by which its sender can find the span."""

    reason: Literal["trace_id", "span_id", "parent_span_id", "name"]
    sentence: str


@dataclass(slots=True)
class Faults:
    """All are counted and the first are named: a request may hold a million."""

    counts: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        self.counts[fault.reason] += 1
        if len(self.named) < FAULTS_NAMED:
            self.named.append(fault.sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedRequest:
    """A body the store can take, how many spans or log records it holds, and the faults of those left out."""

    body: bytes
    item_count: int
    faults: Faults = field(default_factory=Faults)
    signal: Signal = TRACES
