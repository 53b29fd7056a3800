"""The state of a run at a point asked for in words, as JSON.

records, at, outcomes → evidence → fold → **state** → routes/state.py, the replay bundle
"""

from dataclasses import asdict
from typing import TypedDict

from backtrail_query.at import parse_at, resolve_at
from backtrail_query.deltas import Values
from backtrail_query.evidence import gather_evidence
from backtrail_query.fold import State, StateView, state_at
from backtrail_query.outcomes import Family, Target, derive_outcomes
from backtrail_query.records import RunRecords, SnapshotRecord, StepRecord
from backtrail_query.views import JsonObject, rfc3339


class StateJson(TypedDict):
    """As in the state endpoint and in the replay bundle."""

    at_seq: int
    view: StateView
    values: Values
    root: str | None
    excluded: list[str]
    conflicts: list[dict[str, str]]
    truncated: list[dict[str, str]]
    snapshot: JsonObject | None


def read_state(records: RunRecords, at: str, view: StateView) -> StateJson:
    """Raises CheckpointGap where a missing record would make the answer a guess."""
    seq = resolve_at(parse_at(at), records)
    left_out = _ineffective(records) if view == "effective" else set()
    return _state_view(state_at(gather_evidence(records), seq, view, ineffective=left_out))


def _ineffective(records: RunRecords) -> set[str]:
    """Keys of the steps that a resume runs again, or that stand inside one: their writes will come anew."""
    outcomes = derive_outcomes(
        records.steps,
        run_completed=records.status == "completed",
        failed_step_key=records.failed_step_key,
        target=Target(),
    )
    family = Family(records.steps)

    def runs_again(step: StepRecord) -> bool:
        outcome = outcomes[step.step_key]
        is_settled = step.status == "completed" or (step.status == "failed" and bool(outcome.handled))
        return not is_settled or outcome.reason in ("failed_terminal", "closed_open")

    return {step.step_key for step in family.steps if any(map(runs_again, (step, *family.enclosing(step))))}


def narrow(values: Values, *, scope: str | None, key: str | None) -> Values:
    """Only what was asked for; scopes that hold nothing of it are left out."""
    found = {
        name: {inner: value for inner, value in keys.items() if key in (None, inner)}
        for name, keys in values.items()
        if scope in (None, name)
    }
    return {name: keys for name, keys in found.items() if keys}


def checkpoint_views(snapshots: list[SnapshotRecord]) -> list[JsonObject]:
    return [
        {
            "checkpoint_id": snapshot.checkpoint_id,
            "name": snapshot.name or None,
            "seq": snapshot.seq,
            "after_step_key": snapshot.after_step_key,
            "root": snapshot.root,
            "auto": snapshot.is_auto,
            "extra": snapshot.extra,
            "time_unix_nano": snapshot.span.start_time_unix_nano,
            "time": rfc3339(snapshot.span.start_time_unix_nano),
        }
        for snapshot in snapshots
        if snapshot.part == 1
    ]


def _state_view(state: State) -> StateJson:
    snapshot = state.snapshot
    return {
        "at_seq": state.at_seq,
        "view": state.view,
        "values": state.values,
        "root": state.root,
        "excluded": state.excluded,
        "conflicts": [asdict(place) for place in state.conflicts],
        "truncated": [asdict(place) for place in state.truncated],
        "snapshot": None if snapshot is None else {"checkpoint_id": snapshot.checkpoint_id, "seq": snapshot.seq},
    }
