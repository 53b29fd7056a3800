"""The point of a run that a request means: `failure`, `end`, `seq:41`, `before:KEY`, `after:KEY`, `checkpoint:ID`.

?at=… → **at** → seq → fold
               → target → outcomes, lineage
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from backtrail_query.errors import BadParameter, NotFound
from backtrail_query.outcomes import Target
from backtrail_query.records import RunRecords, StepRecord

PointKind: TypeAlias = Literal["failure", "end", "seq", "before", "after", "checkpoint"]

SPELLINGS = "failure, end, seq:N, before:KEY, after:KEY or checkpoint:ID"
_KINDS: frozenset[str] = frozenset(get_args(PointKind))
_BARE: frozenset[str] = frozenset({"failure", "end"})


@dataclass(frozen=True, slots=True)
class Point:
    """A point as it was asked for; `name` is the key, the id or the number after the colon."""

    kind: PointKind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


def parse_at(text: str) -> Point:
    kind, colon, name = text.partition(":")
    if kind not in _KINDS or (kind in _BARE) == bool(colon) or bool(colon) != bool(name):
        raise BadParameter(f"at={text[:80]!r} is not a point of a run; write {SPELLINGS}")
    if kind == "seq" and not (name.isascii() and name.isdigit() and len(name) < 19):
        raise BadParameter(f"at={text[:80]!r}: seq is a number from 0 on")
    return Point(kind, name)  # type: ignore[arg-type]


def resolve_at(point: Point, records: RunRecords) -> int:
    """The seq up to which a state at this point is folded."""
    match point.kind:
        case "seq":
            return int(point.name)
        case "end":
            return records.seq_max
        case "failure":
            step = failed_step(records)
            return records.seq_max if step is None else step.seq_start
        case "before":
            return find_step(records.steps, point.name).seq_start
        case "after":
            step = find_step(records.steps, point.name)
            if step.seq_end is None:
                raise NotFound(f"step {step.step_key} has not ended: there is no state after it")
            return step.seq_end
        case "checkpoint":
            return _checkpoint_seq(records, point.name)


def resolve_target(point: Point, records: RunRecords) -> Target:
    """What a replay from this point runs live: one step for `before`, all that began later for the next three."""
    match point.kind:
        case "failure" | "end":
            return Target()
        case "before":
            return Target(step_key=find_step(records.steps, point.name).step_key)
        case "after" | "seq" | "checkpoint":
            return Target(seq=resolve_at(point, records))


def cut_seq(point: Point, records: RunRecords) -> int | None:
    """Where a later run left this one: what began from there on is not its past. None if it kept everything."""
    target = resolve_target(point, records)
    if target.step_key is not None:
        return find_step(records.steps, target.step_key).seq_start
    return None if target.seq is None else target.seq + 1


def failed_step(records: RunRecords) -> StepRecord | None:
    """The call in which the run broke, None if it broke between calls; a run that is whole has no failure."""
    if key := records.failed_step_key:
        return find_step(records.steps, key)
    if records.run is not None and not records.run.is_pending and records.run.status_code != "error":
        raise NotFound("this run did not fail: there is no state at the failure")
    return next((step for step in records.steps if step.status == "incomplete"), None)


def find_step(steps: Sequence[StepRecord], key: str) -> StepRecord:
    """The step of that key, or of the only key that begins so."""
    exact = [step for step in steps if step.step_key == key]
    found = exact or [step for step in steps if step.step_key.startswith(key)]
    if not found:
        raise NotFound(f"this run has no step with key {key[:80]}")
    if len({step.step_key for step in found}) > 1:
        raise BadParameter(f"{len(found)} steps of this run have keys that begin with {key[:80]}")
    return found[0]


def _checkpoint_seq(records: RunRecords, checkpoint_id: str) -> int:
    for snapshot in records.snapshots:
        if snapshot.checkpoint_id == checkpoint_id:
            return snapshot.seq
    raise NotFound(f"this run has no checkpoint {checkpoint_id[:80]}")
