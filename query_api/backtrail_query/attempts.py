"""The tries of a step that has retries. Pure.

    spans → **attempts** → lineage → bundle_steps

An attempt never fills a result; it tells how a step came to the one it has.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from backtrail import semconv
from backtrail_query.records import StepStatus, integer, payload
from backtrail_query.tree import end_status, kind_of
from backtrail_store.rows import SpanRow


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One try; the step is the parent of its span."""

    n: int
    status: StepStatus
    error: object


def read_attempts(spans: Iterable[SpanRow]) -> dict[str, list[AttemptRecord]]:
    """The tries of each step that has them, in their order, by the step's span id."""
    found: dict[str, list[AttemptRecord]] = {}
    for span in spans:
        if kind_of(span) == "attempt":
            found.setdefault(span.parent_span_id, []).append(_read_attempt(span))
    return {step: sorted(attempts, key=lambda attempt: attempt.n) for step, attempts in found.items()}


def _read_attempt(span: SpanRow) -> AttemptRecord:
    return AttemptRecord(
        n=integer(span, semconv.ATTEMPT_N) or 0,
        status="incomplete" if span.is_pending else end_status(span),
        error=payload(span, semconv.ATTEMPT_ERROR),
    )
