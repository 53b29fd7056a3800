"""What each span proves about the run's state, and whether any span is missing. Pure.

    records → **evidence** → fold

Numbers have no holes: each process counts its finished spans of a run, one number with each span's last `seq`. So a
hole in the numbers is a lost span. Where it could have written is bounded from below by the last `seq` under the
number before, by the start of calls known only from their pending rows, and by the first `seq` nobody accounts for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backtrail import semconv
from backtrail_query.deltas import Delta, Values, merge_parts
from backtrail_query.errors import CheckpointGap
from backtrail_query.records import RunRecords, SnapshotRecord, integer, seqs_of, text
from backtrail_store.rows import SpanRow

MAX_NUMBERS_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPart:
    checkpoint_id: str
    seq: int
    part: int = 1
    parts: int = 1
    open_steps: tuple[str, ...] = ()
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    checkpoint_id: str
    seq: int
    process: str
    open_steps: tuple[str, ...]
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One span. `number` is None on a pending row; `number_max` is how many its process had drawn at the end.

    `caller_seq` is where the clock stood when the process joined the run, if it did not begin it.
    """

    process: str
    number: int | None
    seq_start: int
    seqs: tuple[int, ...]
    number_max: int | None = None
    caller_seq: int | None = None
    step_key: str | None = None
    is_incomplete: bool = False
    deltas: tuple[Delta, ...] = ()
    snapshot: SnapshotPart | None = None


def gather_evidence(records: RunRecords) -> list[Evidence]:
    """One for each span of the run that says anything about its clock, its numbering or its state."""
    steps = {step.span_id: step for step in records.steps}
    writes = {write.span.span_id: write for write in records.writes}
    snapshots = {snapshot.span.span_id: snapshot for snapshot in records.snapshots}
    found = []
    for span in records.spans:
        step, write, snapshot = steps.get(span.span_id), writes.get(span.span_id), snapshots.get(span.span_id)
        deltas = tuple(step.deltas if step else write.deltas if write else ())
        seqs = (*seqs_of(span), *(delta.seq for delta in deltas))
        number = None if span.is_pending else integer(span, semconv.NUMBER)
        if number is None and not seqs:
            continue
        found.append(
            Evidence(
                process=text(span, semconv.PROCESS) or "",
                number=number,
                number_max=None if span.is_pending else _number_max(span),
                caller_seq=integer(span, semconv.CALLER_SEQ),
                seq_start=min(seqs, default=0),
                seqs=seqs,
                step_key=step.step_key if step else write.step_key if write else None,
                is_incomplete=step is not None and step.status == "incomplete",
                deltas=deltas,
                snapshot=_snapshot_part(snapshot) if snapshot else None,
            )
        )
    return found


def _number_max(span: SpanRow) -> int | None:
    return integer(span, semconv.RUN_NUMBER_MAX) or integer(span, semconv.AGENT_NUMBER_MAX)


def _snapshot_part(record: SnapshotRecord) -> SnapshotPart:
    return SnapshotPart(
        checkpoint_id=record.checkpoint_id,
        seq=record.seq,
        part=record.part,
        parts=record.parts,
        open_steps=tuple(record.open_steps),
        values=record.values,
    )


def whole_snapshots(evidence: Iterable[Evidence]) -> list[Snapshot]:
    """Snapshots of which no part is missing."""
    parts: dict[str, dict[int, tuple[str, SnapshotPart]]] = {}
    for one in evidence:
        if one.snapshot is not None:
            parts.setdefault(one.snapshot.checkpoint_id, {})[one.snapshot.part] = (one.process, one.snapshot)
    return [_join(found) for found in parts.values() if len(found) == next(iter(found.values()))[1].parts]


def _join(parts: dict[int, tuple[str, SnapshotPart]]) -> Snapshot:
    process, first = next(iter(parts.values()))
    return Snapshot(
        checkpoint_id=first.checkpoint_id,
        seq=first.seq,
        process=process,
        open_steps=first.open_steps,
        values=merge_parts(part.values for _, part in parts.values()),
    )


def missing_numbers(evidence: Sequence[Evidence]) -> dict[str, list[int]]:
    """For each process the numbers of the spans that should be there and are not."""
    seen: dict[str, set[int]] = {}
    last: dict[str, int] = {}
    for one in evidence:
        if one.number is not None:
            seen.setdefault(one.process, set()).add(one.number)
            last[one.process] = max(last.get(one.process, 0), one.number, one.number_max or 0)
    missing = {process: sorted(set(range(1, top + 1)) - seen[process]) for process, top in last.items()}
    return {process: numbers for process, numbers in missing.items() if numbers}


def find_gap(evidence: Sequence[Evidence], at: int) -> CheckpointGap | None:
    """The error that says which spans are missing, if one of them may have written at or before `at`."""
    missing = missing_numbers(evidence)
    if not missing:
        return None
    sure_until = min(_bounds(evidence, missing)) - 1
    if at <= sure_until:
        return None
    named = "; ".join(f"{_shorten(numbers)} of process {process}" for process, numbers in missing.items())
    advice = f"; the state is known up to seq:{sure_until}" if sure_until >= 0 else ""
    return CheckpointGap(f"spans of this run are missing: number {named}{advice}", numbers=missing, seq=at)


def _bounds(evidence: Sequence[Evidence], missing: dict[str, list[int]]) -> Iterable[int]:
    """Every point from which on a missing span may have written."""
    for process, numbers in missing.items():
        own = [one for one in evidence if one.process == process]
        before = [one for one in own if one.number and one.number < numbers[0]]
        yield max((max(one.seqs, default=0) for one in before), default=0)
        accounted = {seq for one in own for seq in one.seqs}
        first = max((one.caller_seq + 1 for one in own if one.caller_seq is not None), default=0)
        yield next(seq for seq in range(first, first + len(accounted) + 1) if seq not in accounted)
    yield from (one.seq_start for one in evidence if one.number is None)


def _shorten(numbers: list[int]) -> str:
    named = ", ".join(map(str, numbers[:MAX_NUMBERS_NAMED]))
    return named if len(numbers) <= MAX_NUMBERS_NAMED else f"{named} and {len(numbers) - MAX_NUMBERS_NAMED} more"
