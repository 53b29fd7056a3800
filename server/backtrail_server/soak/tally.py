"""What a soak has done and found so far.

soak → **tally** → commands.check prints it
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

EXAMPLES = 20
WAYS = ("by id", "by search", "by aggregate")


@dataclass
class Tally:
    runs: int = 0
    spans: int = 0
    requests: int = 0
    sent_again: int = 0
    refusals: int = 0
    interruptions: int = 0
    readable_seconds: list[float] = field(default_factory=list)
    read: Counter[str] = field(default_factory=Counter)
    mismatches: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def compared(self, way: str, runs: int, differences: Iterable[str]) -> None:
        self.read[way] += runs
        for sentence in differences:
            self.mismatches[way] += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(f"{way}: {sentence}")

    @property
    def mismatch_count(self) -> int:
        return self.mismatches.total()

    def line(self) -> str:
        """Where it stands."""
        return (
            f"{self.runs} runs, {self.spans} spans in {self.requests} requests ({self.sent_again} sent again, "
            f"{self.refusals} refused for the moment), {self.mismatch_count} mismatches"
        )

    def lines(self) -> Iterator[str]:
        """What it came to."""
        yield f"{'written':14}{self.runs:>8} runs{self.line().partition(' runs')[2]}"
        for way in WAYS:
            yield f"{way:14}{self.read[way]:>8} runs read, {self.mismatches[way]} mismatches"
        ordered = sorted(self.readable_seconds)
        if ordered:
            p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.99))
            times = f"{p50 * 1e3:.0f} ms p50, {p99 * 1e3:.0f} ms p99, {ordered[-1] * 1e3:.0f} ms at most"
            yield f"{'ack → readable':14} {times}"
        if self.interruptions:
            yield f"{'':14}the server was away while {self.interruptions} runs were waited for; not in these times"
        yield from (f"  {example}" for example in self.examples)
        if self.mismatch_count > len(self.examples):
            yield f"  and {self.mismatch_count - len(self.examples)} more"
