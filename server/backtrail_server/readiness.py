"""May this server be sent work, and if not, why: each part is asked by itself, and none can hold up the answer.

    store, inbox, writer, disk → **readiness** → GET /readyz, backtrail-server check

A question that has not come back after PATIENCE_SECONDS counts as "does not answer" and stays the only one of its kind,
so a store that hangs is not buried under probes. Answers are kept for a second: probing often costs no more.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from backtrail_server.own_threads import OwnThreads

PATIENCE_SECONDS = 1.5
KEPT_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a person has to know of: one sentence, with what to do where that is known."""

    part: str
    reason: str
    stops_work: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    findings: tuple[Finding, ...] = ()

    @property
    def is_ready(self) -> bool:
        return not any(finding.stops_work for finding in self.findings)

    @property
    def status(self) -> str:
        if not self.is_ready:
            return "not ready"
        return "degraded" if self.findings else "ready"


Probe = Callable[[], Iterable[Finding]]  # may take its time, and may raise: both are findings


class Readiness:
    def __init__(self, probes: Mapping[str, Probe]) -> None:
        """`probes` by the name of the part they look at."""
        self._probes = [_Asked(part, probe) for part, probe in probes.items()]
        self._threads: OwnThreads | None = None  # made when first asked: a program we are guests of may never ask

    async def report(self) -> Report:
        """Within PATIENCE_SECONDS, whatever hangs."""
        if self._threads is None:
            self._threads = OwnThreads(len(self._probes))
        answers = [asyncio.wrap_future(probe.ask(self._threads)) for probe in self._probes]
        await asyncio.wait(answers, timeout=PATIENCE_SECONDS)
        return Report(tuple(finding for probe in self._probes for finding in probe.findings()))

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown()


class _Asked:
    """A probe, and its latest answer or the question that is still out."""

    def __init__(self, part: str, probe: Probe) -> None:
        self._part = part
        self._probe = probe
        self._asked_at = 0.0
        self._answer: Future[list[Finding]] | None = None

    def ask(self, threads: OwnThreads) -> Future[None]:
        """Done, but never with a result, when `findings` has something new to say."""
        if self._answer is None or (self._answer.done() and time.monotonic() - self._asked_at > KEPT_SECONDS):
            self._asked_at = time.monotonic()
            self._answer = threads.submit(lambda: list(self._probe()))
        done: Future[None] = Future()

        def tell(_: Future[list[Finding]]) -> None:
            if done.set_running_or_notify_cancel():
                done.set_result(None)

        self._answer.add_done_callback(tell)
        return done

    def findings(self) -> list[Finding]:
        assert self._answer is not None
        if not self._answer.done():
            seconds = time.monotonic() - self._asked_at
            return [self._finding(f"the {self._part} has not answered for {seconds:.1f} s")]
        if error := self._answer.exception():
            return [self._finding(f"the {self._part} cannot be asked: {error}")]
        return self._answer.result()

    def _finding(self, reason: str) -> Finding:
        return Finding(part=self._part, reason=reason)
