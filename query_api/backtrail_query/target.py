"""`at` → what is to run live; pure.

POST replay-bundle {mode, at} → **target** → outcomes, lineage
"""

from backtrail_query.errors import BadParameter
from backtrail_query.outcomes import Target
from backtrail_query.records import RunRecords, StepRecord

FORMS = "failure, end, before:KEY, after:KEY, seq:N or checkpoint:ID"


def resolve_target(records: RunRecords, at: str) -> Target:
    """`before` makes one step live; `after`, `seq` and `checkpoint` everything that was begun later."""
    form, _, value = at.partition(":")
    match form:
        case "failure" | "end" if not value:
            return Target()
        case "before":
            return Target(step_key=_step(records, value).step_key)
        case "after":
            step = _step(records, value)
            return Target(seq=step.seq_end if step.seq_end is not None else step.seq_start)
        case "seq" if value.isascii() and value.isdigit():
            return Target(seq=int(value))
        case "checkpoint":
            return Target(seq=_checkpoint_seq(records, value))
    raise BadParameter(f"at: {at[:80]!r} is none of {FORMS}")


def cut_seq(records: RunRecords, at: str) -> int | None:
    """Where a later run left this one: what was begun from there on is not its past. None if it kept everything."""
    target = resolve_target(records, at)
    if target.step_key is not None:
        return _step(records, target.step_key).seq_start
    return None if target.seq is None else target.seq + 1


def _step(records: RunRecords, step_key: str) -> StepRecord:
    for step in records.steps:
        if step.step_key == step_key:
            return step
    raise BadParameter(f"at: the run has no step {step_key[:80]!r}")


def _checkpoint_seq(records: RunRecords, checkpoint_id: str) -> int:
    for snapshot in records.snapshots:
        if snapshot.checkpoint_id == checkpoint_id:
            return snapshot.seq
    raise BadParameter(f"at: the run has no checkpoint {checkpoint_id[:80]!r}")
