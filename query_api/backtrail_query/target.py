"""`at` → what is to run live; pure.

POST replay-bundle {mode, at} → at → **target** → outcomes, lineage
"""

from backtrail_query.at import find_step, parse_at, resolve_at
from backtrail_query.outcomes import Target
from backtrail_query.records import RunRecords


def resolve_target(records: RunRecords, at: str) -> Target:
    """`before` makes one step live; `after`, `seq` and `checkpoint` everything that was begun later."""
    point = parse_at(at)
    match point.kind:
        case "failure" | "end":
            return Target()
        case "before":
            return Target(step_key=find_step(records.steps, point.name).step_key)
        case "after" | "seq" | "checkpoint":
            return Target(seq=resolve_at(point, records))


def cut_seq(records: RunRecords, at: str) -> int | None:
    """Where a later run left this one: what was begun from there on is not its past. None if it kept everything."""
    point = parse_at(at)
    match point.kind:
        case "failure" | "end":
            return None
        case "before":
            return find_step(records.steps, point.name).seq_start
        case "after" | "seq" | "checkpoint":
            return resolve_at(point, records) + 1
