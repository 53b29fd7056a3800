"""A run that is itself a replay, together with the runs it came from: one record for each call.

    reader.get_trace, for each generation → **lineage** → bundle

A served step carries no payload; it names the run and span where it really ran, so one hop finds the answer. What
this run did not reach again is still known from its ancestors, each up to the point where it was left.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from backtrail import semconv
from backtrail_query.at import cut_seq, parse_at
from backtrail_query.attempts import AttemptRecord, read_attempts
from backtrail_query.deltas import Delta
from backtrail_query.errors import QueryError
from backtrail_query.integrity import find_damage
from backtrail_query.outcomes import Outcome, Target, derive_outcomes, enclosing_step_key
from backtrail_query.records import EffectRecord, RunRecords, StepRecord, integer, read_records, text
from backtrail_store.rows import SpanRow

MAX_GENERATIONS = 100
WEAK_REASONS = frozenset({"incomplete", "cancelled_fallout", "failed_open", "unknown_outcome"})

ReadTrace = Callable[[str], Sequence[SpanRow]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One run of the lineage; `number` 0 is the first one."""

    run_id: str
    number: int
    mode: str | None
    at: str | None
    status: str
    records: RunRecords
    overflow: Mapping[str, Sequence[Delta]]  # by step key: state changes that were too long for the step's span


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One call as the newest run that knows it has it. `source` is the span that holds the payloads, `attempts` what
    lies below that span."""

    step: StepRecord
    outcome: Outcome
    generation: int
    source_run_id: str
    source_span_id: str
    source: SpanRow | None
    attempts: Sequence[AttemptRecord]


@dataclass(slots=True)
class Lineage:
    """The generations of one run, newest first, and every trace that was read on the way."""

    generations: list[Generation]
    missing_run_ids: list[str]
    _read: ReadTrace
    _spans: dict[str, dict[str, SpanRow]] = field(default_factory=dict)
    _attempts: dict[str, dict[str, list[AttemptRecord]]] = field(default_factory=dict)

    @property
    def newest(self) -> Generation:
        return self.generations[0]

    def generation(self, number: int) -> Generation:
        return next(generation for generation in self.generations if generation.number == number)

    def steps(self, target: Target) -> list[Recorded]:
        """One record for each step key, newest generation first, each generation by `seq_start`."""
        chosen: dict[str, Recorded] = {}
        for generation in self.generations:
            for recorded in self._steps_of(generation, target if generation is self.newest else Target()):
                newer = chosen.get(recorded.step.step_key)
                is_past = not _is_closed_above(recorded, chosen) if newer is None else _is_better(recorded, newer)
                if is_past:
                    chosen[recorded.step.step_key] = recorded
        return sorted(chosen.values(), key=lambda one: (-one.generation, one.step.seq_start, one.step.step_key))

    def effects(self) -> list[EffectRecord]:
        newest_first = [effect for generation in self.generations for effect in generation.records.effects]
        return list({effect.key: effect for effect in reversed(newest_first)}.values())

    def _steps_of(self, generation: Generation, target: Target) -> list[Recorded]:
        outcomes = derive_outcomes(
            generation.records.steps,
            run_completed=generation.status == "completed",
            failed_step_key=generation.records.failed_step_key,
            target=target,
        )
        by_key = {step.step_key: step for step in generation.records.steps}
        return [self._recorded(generation, step, outcomes[step.step_key]) for step in by_key.values()]

    def _recorded(self, generation: Generation, step: StepRecord, outcome: Outcome) -> Recorded:
        run_id, span_id = generation.run_id, step.span_id
        source: SpanRow | None = step.span
        if step.replayed:
            run_id, _, span_id = (text(step.span, semconv.STEP_SOURCE) or "").partition("/")
            source = self._span(run_id, span_id)
            if source is None and outcome.policy in ("cached", "raise"):
                outcome = replace(outcome, policy="refuse", reason="source_missing")
        if source is not None and (damage := find_damage(source, outcome.policy)) is not None:
            outcome = replace(outcome, policy="refuse", reason=damage)
        return Recorded(
            step=step,
            outcome=outcome,
            generation=generation.number,
            source_run_id=run_id,
            source_span_id=span_id,
            source=source,
            attempts=self._attempts_of(run_id, span_id),
        )

    def _span(self, run_id: str, span_id: str) -> SpanRow | None:
        if not run_id:
            return None
        if run_id not in self._spans:
            self._spans[run_id] = {span.span_id: span for span in self._read(run_id)}
        return self._spans[run_id].get(span_id)

    def _attempts_of(self, run_id: str, span_id: str) -> Sequence[AttemptRecord]:
        if run_id not in self._attempts:
            self._attempts[run_id] = read_attempts(self._spans.get(run_id, {}).values())
        return self._attempts[run_id].get(span_id, ())


def load_lineage(read: ReadTrace, run_id: str, spans: Sequence[SpanRow]) -> Lineage | None:
    """The run with these spans and its ancestors; None if there is no run among them."""
    records = read_records(spans)
    if records.run is None:
        return None
    lineage = Lineage([], [], read)
    number = integer(records.run, semconv.REPLAY_GENERATION) or 0
    cut: int | None = None
    while records.run is not None and len(lineage.generations) < MAX_GENERATIONS:
        lineage._spans[run_id] = {span.span_id: span for span in spans}
        generation = _generation(run_id, number, _cut(records, cut))
        lineage.generations.append(generation)
        ancestor = text(records.run, semconv.REPLAY_OF)
        if ancestor is None or ancestor in lineage._spans:
            break
        run_id, number = ancestor, max(number - 1, 0)
        spans = read(run_id)
        records = read_records(spans)
        cut = _cut_of(records, generation)
        if records.run is None:
            lineage.missing_run_ids.append(run_id)
    return lineage


def _generation(run_id: str, number: int, records: RunRecords) -> Generation:
    run = records.run
    assert run is not None
    return Generation(
        run_id=run_id,
        number=number,
        mode=text(run, semconv.REPLAY_MODE),
        at=text(run, semconv.REPLAY_AT),
        status=records.status,
        records=records,
        overflow=_overflow(records),
    )


def _overflow(records: RunRecords) -> dict[str, list[Delta]]:
    deltas: dict[str, list[Delta]] = {}
    for write in records.writes:
        if write.step_key is not None:
            deltas.setdefault(write.step_key, []).extend(write.deltas)
    return deltas


def _cut_of(records: RunRecords, younger: Generation) -> int | None:
    try:
        return cut_seq(parse_at(younger.at or "failure"), records)
    except QueryError:
        return 0  # it was left at a point this record no longer has: nothing of it can be told to be the past


def _cut(records: RunRecords, seq: int | None) -> RunRecords:
    if seq is None:
        return records
    return replace(
        records,
        steps=[step for step in records.steps if step.seq_start < seq],
        effects=[effect for effect in records.effects if effect.seq < seq],
    )


def _is_better(older: Recorded, newer: Recorded) -> bool:
    """An older end is known where the newer run was cut off before it could repeat it."""
    return newer.outcome.reason in WEAK_REASONS and older.outcome.policy in ("cached", "raise", "hang")


def _is_closed_above(recorded: Recorded, chosen: dict[str, Recorded]) -> bool:
    """A newer run has an answer for a step around this one: its body will not run on older records."""
    seen: set[str] = set()
    key = enclosing_step_key(recorded.step.scope)
    while key is not None and key in chosen and key not in seen:
        seen.add(key)
        outer = chosen[key]
        if outer.generation > recorded.generation and outer.outcome.policy not in ("enter", "live"):
            return True
        key = enclosing_step_key(outer.step.scope)
    return False
