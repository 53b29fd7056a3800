"""Snapshots and deltas → the state at a point. Pure, and the only fold there is.

    records → evidence → **fold** → routes/state.py, the replay bundle

    actual     what memory held at that point
    effective  what a resume rebuilds: without the writes of steps that will run again

A state is right or it is refused. A record that is missing shows in the numbering of the spans, a write that is
missing in the hash the next write to that key expected. Only a step that never ended may have taken writes with it
unseen; it is named in `excluded`, and keys it may have touched in `conflicts`.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from backtrail.canonical import root_term, root_text, value_hash
from backtrail_query.deltas import Delta, Op, Values
from backtrail_query.errors import CheckpointGap
from backtrail_query.evidence import Evidence, Snapshot, find_gap, whole_snapshots

StateView: TypeAlias = Literal["actual", "effective"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    scope: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`truncated` keys were too long to record: their value here is a stub of the real one."""

    at_seq: int
    view: StateView
    values: Values
    root: str | None
    excluded: list[str]
    conflicts: list[Key]
    truncated: list[Key]
    snapshot: Snapshot | None


@dataclass(slots=True)
class Cell:
    """One key's value with the hash the record gives it; None while the value itself has to tell."""

    value: object
    recorded_hash: str | None = None

    @property
    def hash(self) -> str:
        if self.recorded_hash is None:
            self.recorded_hash = value_hash(self.value)
        return self.recorded_hash


@dataclass(slots=True)
class Fold:
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    skipped: set[tuple[str, str]] = field(default_factory=set)
    conflicts: set[tuple[str, str]] = field(default_factory=set)

    def apply(self, delta: Delta, *, may_have_lost_writes: bool) -> None:
        for op in delta.ops:
            place = (delta.scope, op.key)
            cell = self.cells.get(place)
            is_expected = op.prev is None if cell is None else _is_unknown(cell) or op.prev == cell.hash
            if not is_expected:
                if not may_have_lost_writes and place not in self.skipped:
                    raise CheckpointGap(
                        f"a write to {op.key!r} of {delta.scope} before seq {delta.seq} is missing", seq=delta.seq
                    )
                self.conflicts.add(place)
            self._write(place, cell, op, is_expected=is_expected)

    def _write(self, place: tuple[str, str], cell: Cell | None, op: Op, *, is_expected: bool) -> None:
        if op.kind == "delete":
            self.cells.pop(place, None)
            return
        base = cell.value if cell is not None else None
        value = base if is_truncated(base) and op.kind != "set" else op.apply(base)
        trusts_hash = is_expected or op.kind == "set"
        self.cells[place] = Cell(value, op.hash if trusts_hash else None)


def state_at(evidence: Sequence[Evidence], at: int, view: StateView, *, ineffective: Set[str] = frozenset()) -> State:
    """The state after everything up to and including `at`; `ineffective` are the keys of steps that run again."""
    if gap := find_gap(evidence, at):
        raise gap
    open_steps = {one.step_key: one.seq_start for one in evidence if one.is_incomplete and one.step_key}
    out = (set(ineffective) | open_steps.keys()) if view == "effective" else set()
    deltas = list(_deltas_until(evidence, at))
    snapshots = _choose_snapshots(evidence, deltas, at, out)
    fold = Fold()
    for snapshot in sorted(snapshots.values(), key=lambda snapshot: snapshot.seq):
        fold.cells.update({(scope, key): Cell(value) for scope, key, value in _cells(snapshot.values)})
    excluded = {key for key, seq_start in open_steps.items() if seq_start <= at}
    for delta, process, step_key in deltas:
        if process in snapshots and delta.seq <= snapshots[process].seq:
            continue
        if step_key in out:
            excluded.add(step_key)
            fold.skipped.update((delta.scope, op.key) for op in delta.ops)
            continue
        fold.apply(delta, may_have_lost_writes=any(seq_start < delta.seq for seq_start in open_steps.values()))
    newest = max(snapshots.values(), key=lambda snapshot: (snapshot.seq, snapshot.process), default=None)
    return _finish(fold, at, view, sorted(excluded), newest)


def _deltas_until(evidence: Sequence[Evidence], at: int) -> Iterator[tuple[Delta, str, str]]:
    """In the order they were applied, each once however often its span was delivered: delta, process, step key."""
    found = {
        (delta.seq, one.process): (delta, one.process, one.step_key or "")
        for one in evidence
        for delta in one.deltas
        if delta.seq <= at
    }
    return (found[order] for order in sorted(found))


def _choose_snapshots(
    evidence: Sequence[Evidence], deltas: Sequence[tuple[Delta, str, str]], at: int, out: Set[str]
) -> dict[str, Snapshot]:
    """Each process's newest whole one that holds nothing of the steps left out.

    A process knows what it wrote itself: its snapshot says nothing of the others' scopes.
    """
    chosen: dict[str, Snapshot] = {}
    for snapshot in whole_snapshots(evidence):
        first_left_out = min(
            (delta.seq for delta, process, key in deltas if process == snapshot.process and key in out), default=at + 1
        )
        is_usable = snapshot.seq <= at and snapshot.seq < first_left_out and out.isdisjoint(snapshot.open_steps)
        known = chosen.get(snapshot.process)
        if is_usable and (known is None or known.seq < snapshot.seq):
            chosen[snapshot.process] = snapshot
    return chosen


def _finish(fold: Fold, at: int, view: StateView, excluded: list[str], snapshot: Snapshot | None) -> State:
    truncated = [place for place, cell in fold.cells.items() if _holds_truncated(cell.value)]
    for (scope, key), cell in fold.cells.items():
        if (scope, key) not in truncated and cell.hash != value_hash(cell.value):
            raise CheckpointGap(f"the recorded value of {key!r} in {scope} is not the one that was written", seq=at)
    values: Values = {"run": {}}
    for (scope, key), cell in sorted(fold.cells.items()):
        values.setdefault(scope, {})[key] = cell.value
    return State(
        at_seq=at,
        view=view,
        values=values,
        root=_root(fold),
        excluded=excluded,
        conflicts=[Key(scope=scope, key=key) for scope, key in sorted(fold.conflicts)],
        truncated=[Key(scope=scope, key=key) for scope, key in sorted(truncated)],
        snapshot=snapshot,
    )


def _root(fold: Fold) -> str | None:
    if any(_is_unknown(cell) for cell in fold.cells.values()):
        return None
    return root_text(sum(root_term(scope, key, cell.hash) for (scope, key), cell in fold.cells.items()))


def _cells(values: Values) -> Iterator[tuple[str, str, object]]:
    return ((scope, key, value) for scope, keys in values.items() for key, value in keys.items())


def is_truncated(value: object) -> bool:
    return isinstance(value, dict) and value.get("$t") == "truncated"


def _is_unknown(cell: Cell) -> bool:
    """A stub out of a snapshot: nobody wrote down what the whole value's hash was."""
    return cell.recorded_hash is None and _holds_truncated(cell.value)


def _holds_truncated(value: object) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if is_truncated(one):
            return True
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend(one.values())
    return False
