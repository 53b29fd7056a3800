"""State at every point is the state the program had; a missing record is named or does no harm."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrail.canonical import state_root, value_hash
from backtrail_query.deltas import Delta, Op, Values
from backtrail_query.errors import CheckpointGap
from backtrail_query.evidence import Evidence, SnapshotPart, missing_numbers
from backtrail_query.fold import Key, State, state_at

SCOPES = ("run", "a1")
KEYS = ("x", "messages", "profile")


@dataclass
class Recorder:
    """A run as the SDK records it: one clock, one numbering, and the true state after each point."""

    process: str = "p0000001"
    seq: int = -1
    number: int = 0
    state: Values = field(default_factory=lambda: {"run": {}})
    history: dict[int, Values] = field(default_factory=dict)
    evidence: list[Evidence] = field(default_factory=list)
    open_steps: dict[str, tuple[int, list[Delta]]] = field(default_factory=dict)

    def tick(self) -> int:
        self.seq += 1
        self.history[self.seq] = {scope: dict(keys) for scope, keys in self.state.items()}
        return self.seq

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def change(self, scope: str, key: str, kind: str, value: object = None) -> Delta:
        keys = self.state.setdefault(scope, {})
        old = keys.get(key)
        prev = value_hash(old) if key in keys else None
        body: dict[str, object] = {}
        match kind:
            case "append" if isinstance(old, list):
                body = {"from": len(old), "values": [value]}
            case "text" if isinstance(old, str):
                body = {"from": len(old), "suffix": str(value)}
            case "merge" if isinstance(old, dict):
                body = {"set": {str(value): value}, "delete": sorted(old)[:1]}
            case "delete" if key in keys:
                pass
            case _:
                kind, body = "set", {"value": value}
        if kind == "delete":
            del keys[key]
        else:
            op = Op(kind=kind, key=key, prev=prev, hash=None, body=body)  # type: ignore[arg-type]
            keys[key] = op.apply(old)
        hash_ = value_hash(keys[key]) if key in keys else None
        op = Op(kind=kind, key=key, prev=prev, hash=hash_, body=body)  # type: ignore[arg-type]
        return Delta(seq=self.tick(), scope=scope, ops=(op,))

    def write(self, scope: str, key: str, kind: str, value: object = None) -> None:
        delta = self.change(scope, key, kind, value)
        self.add(seqs=(delta.seq,), deltas=(delta,))

    def start(self, step_key: str) -> None:
        self.open_steps[step_key] = (self.tick(), [])

    def write_in(self, step_key: str, scope: str, key: str, kind: str, value: object = None) -> None:
        self.open_steps[step_key][1].append(self.change(scope, key, kind, value))

    def end(self, step_key: str) -> None:
        start, deltas = self.open_steps.pop(step_key)
        seqs = (start, *(delta.seq for delta in deltas), self.tick())
        self.add(seqs=seqs, deltas=tuple(deltas), step_key=step_key)

    def kill(self, step_key: str) -> None:
        """The process died in this step: all that is left is its pending row."""
        start, _ = self.open_steps.pop(step_key)
        pending = Evidence(
            process=self.process, number=None, seq_start=start, seqs=(start,), step_key=step_key, is_incomplete=True
        )
        self.evidence.append(pending)

    def snapshot(self, parts: int = 1) -> None:
        seq, checkpoint_id = self.tick(), f"{self.process}-{self.seq}"
        open_steps = tuple(key for key, (_, deltas) in self.open_steps.items() if deltas)
        places = [(scope, key) for scope, keys in self.state.items() for key in keys]
        for part in range(parts):
            values: Values = {}
            for scope, key in places[part::parts]:
                values.setdefault(scope, {})[key] = self.state[scope][key]
            self.add(
                seqs=(seq,),
                snapshot=SnapshotPart(
                    checkpoint_id=checkpoint_id,
                    seq=seq,
                    part=part + 1,
                    parts=parts,
                    open_steps=open_steps,
                    values=values,
                ),
            )

    def finish(self) -> None:
        for step_key in list(self.open_steps):
            self.end(step_key)
        seq = self.tick()
        number = self.next_number()
        self.evidence.append(Evidence(process=self.process, number=number, number_max=number, seq_start=0, seqs=(seq,)))

    def add(
        self,
        *,
        seqs: tuple[int, ...],
        deltas: tuple[Delta, ...] = (),
        step_key: str | None = None,
        snapshot: SnapshotPart | None = None,
    ) -> None:
        self.evidence.append(
            Evidence(
                process=self.process,
                number=self.next_number(),
                seq_start=seqs[0],
                seqs=seqs,
                deltas=deltas,
                step_key=step_key,
                snapshot=snapshot,
            )
        )


def without_empty(values: Values) -> Values:
    return {scope: keys for scope, keys in values.items() if keys}


def state_or_gap(evidence: Sequence[Evidence], seq: int) -> State | CheckpointGap:
    try:
        return state_at(evidence, seq, "actual")
    except CheckpointGap as gap:
        return gap


def recorder(*, initial: Values | None = None) -> Recorder:
    run = Recorder()
    if initial:
        run.state = initial
    run.snapshot()
    return run


places = st.tuples(st.sampled_from(SCOPES), st.sampled_from(KEYS))
values: st.SearchStrategy[object] = st.one_of(
    st.integers(-3, 3), st.text("ab", max_size=3), st.just([]), st.just({}), st.lists(st.integers(0, 2), max_size=2)
)
kinds = st.sampled_from(["set", "delete", "append", "text", "merge"])
actions = st.one_of(
    st.tuples(st.just("write"), places, kinds, values),
    st.tuples(st.just("write_in"), st.integers(0, 2), places, kinds, values),
    st.tuples(st.just("start"), st.integers(0, 2)),
    st.tuples(st.just("end"), st.integers(0, 2)),
    st.tuples(st.just("snapshot"), st.integers(1, 3)),
)


def play(script: Sequence[tuple[object, ...]]) -> Recorder:
    run = recorder()
    names: dict[int, str] = {}
    for index, action in enumerate(script):
        match action:
            case ("write", (str(scope), str(key)), str(kind), value):
                run.write(scope, key, kind, value)
            case ("start", int(slot)) if slot not in names:
                names[slot] = f"step{index}"
                run.start(names[slot])
            case ("write_in", int(slot), (str(scope), str(key)), str(kind), value) if slot in names:
                run.write_in(names[slot], scope, key, kind, value)
            case ("end", int(slot)) if slot in names:
                run.end(names.pop(slot))
            case ("snapshot", int(parts)):
                run.snapshot(parts)
    run.finish()
    return run


@settings(max_examples=300, deadline=None)
@given(script=st.lists(actions, max_size=25), data=st.data())
def test_state_equals_memory_at_every_point_in_any_order_of_arrival(
    script: list[tuple[object, ...]], data: st.DataObject
) -> None:
    run = play(script)
    repeats = data.draw(st.lists(st.sampled_from(run.evidence), max_size=5))
    arrived = data.draw(st.permutations([*run.evidence, *repeats]))

    for seq in range(run.seq + 1):
        state = state_at(arrived, seq, "actual")

        assert without_empty(state.values) == without_empty(run.history[seq])
        assert state.root == state_root(run.history[seq])
        assert state.excluded == []
        assert state.conflicts == []


@settings(max_examples=300, deadline=None)
@given(script=st.lists(actions, max_size=25), data=st.data())
def test_without_any_one_record_the_state_is_right_or_refused(
    script: list[tuple[object, ...]], data: st.DataObject
) -> None:
    run = play(script)
    lost = data.draw(st.integers(0, len(run.evidence) - 1))
    arrived = run.evidence[:lost] + run.evidence[lost + 1 :]

    for seq in range(run.seq + 1):
        state = state_or_gap(arrived, seq)
        if isinstance(state, CheckpointGap):
            assert state.numbers == {run.process: [run.evidence[lost].number]}
        else:
            assert without_empty(state.values) == without_empty(run.history[seq])


@settings(max_examples=200, deadline=None)
@given(script=st.lists(actions, max_size=25))
def test_the_effective_state_holds_no_write_of_a_step_that_runs_again(script: list[tuple[object, ...]]) -> None:
    run = play(script)
    steps = sorted({one.step_key for one in run.evidence if one.step_key})
    left_out = set(steps[::2])

    state = state_at(run.evidence, run.seq, "effective", ineffective=left_out)

    expected: Values = {}
    for one in sorted((one for one in run.evidence if one.deltas), key=lambda one: one.deltas[0].seq):
        if one.step_key not in left_out:
            for delta in one.deltas:
                expected.setdefault(delta.scope, {})
    touched = {
        Key(scope=delta.scope, key=op.key)
        for one in run.evidence
        if one.step_key in left_out
        for delta in one.deltas
        for op in delta.ops
    }
    for scope, keys in run.state.items():
        for key, value in keys.items():
            if Key(scope=scope, key=key) not in touched:
                assert state.values[scope][key] == value
    assert set(state.conflicts) <= touched
    assert set(state.excluded) == {one.step_key for one in run.evidence if one.deltas} & left_out


def test_the_initial_state_is_there_before_the_first_write() -> None:
    run = recorder(initial={"run": {"plan": ["search"]}})

    assert state_at(run.evidence, 0, "effective").values == {"run": {"plan": ["search"]}}


def test_a_step_killed_in_the_middle_is_named_and_its_key_is_in_doubt() -> None:
    run = recorder()
    run.write("run", "x", "set", 1)
    run.start("search")
    run.write_in("search", "run", "x", "set", 2)
    run.write("run", "x", "set", 3)
    run.kill("search")

    state = state_at(run.evidence, run.seq, "actual")

    assert state.values == {"run": {"x": 3}}
    assert state.excluded == ["search"]
    assert state.conflicts == [Key(scope="run", key="x")]


def test_a_failed_step_that_runs_again_has_not_appended_yet() -> None:
    run = recorder()
    run.write("run", "messages", "set", ["hello"])
    run.start("answer")
    run.write_in("answer", "run", "messages", "append", "half an ans")
    run.end("answer")
    run.snapshot()

    actual = state_at(run.evidence, run.seq, "actual")
    effective = state_at(run.evidence, run.seq, "effective", ineffective={"answer"})

    assert actual.values == {"run": {"messages": ["hello", "half an ans"]}}
    assert effective.values == {"run": {"messages": ["hello"]}}
    assert effective.excluded == ["answer"]


def test_a_lost_span_is_named_and_what_came_before_is_still_known() -> None:
    run = recorder()
    run.write("run", "x", "set", 1)
    run.write("run", "y", "set", 2)
    run.write("run", "z", "set", 3)
    del run.evidence[2]

    assert missing_numbers(run.evidence) == {"p0000001": [3]}
    assert state_at(run.evidence, 0, "actual").values == {"run": {}}
    with pytest.raises(CheckpointGap, match="number 3 of process p0000001; the state is known up to seq:0"):
        state_at(run.evidence, run.seq, "actual")


def test_a_lost_write_shows_even_where_the_numbering_does_not() -> None:
    run = recorder()
    run.write("run", "x", "set", 1)
    run.write("run", "x", "set", 2)
    run.write("run", "x", "set", 3)
    run.evidence[2:3] = [Evidence(process=run.process, number=3, seq_start=2, seqs=(2,))]

    with pytest.raises(CheckpointGap, match="a write to 'x' of run before seq 3 is missing"):
        state_at(run.evidence, run.seq, "actual")


def test_a_value_too_long_to_record_is_told_apart_until_it_is_set_again() -> None:
    stub = {"$t": "truncated", "v": {"bytes": 9, "sha256": "00", "head": "a"}}
    long, longer = ["long"], ["long", "er"]
    ops = [
        Op(kind="set", key="doc", prev=None, hash=value_hash(long), body={"value": stub}),
        Op(kind="append", key="doc", prev=value_hash(long), hash=value_hash(longer), body={"values": ["er"]}),
        Op(kind="set", key="doc", prev=value_hash(longer), hash=value_hash("short"), body={"value": "short"}),
    ]
    run = recorder()
    for op in ops:
        seq = run.tick()
        run.add(seqs=(seq,), deltas=(Delta(seq=seq, scope="run", ops=(op,)),))

    appended, set_again = state_at(run.evidence, 2, "actual"), state_at(run.evidence, 3, "actual")

    assert appended.truncated == [Key(scope="run", key="doc")]
    assert appended.root == state_root({"run": {"doc": longer}})
    assert set_again.truncated == []
    assert set_again.values == {"run": {"doc": "short"}}


def test_two_processes_are_ordered_by_the_clock_they_share() -> None:
    run = recorder()
    run.write("run", "x", "set", 1)
    remote = Recorder(process="p0000002", seq=run.seq, state={"run": {"x": 1}})
    remote.seq += 3
    remote.write("run", "x", "set", 2)
    run.seq, run.state = remote.seq + 1, {"run": {"x": 2}}
    run.write("run", "x", "set", 3)

    state = state_at([*remote.evidence, *run.evidence], run.seq, "actual")

    assert state.values == {"run": {"x": 3}}


def test_a_snapshot_speaks_for_its_own_process() -> None:
    run = recorder(initial={"run": {"x": 1}})
    joined = Recorder(process="p0000002", seq=run.seq, state={})
    joined.write("run@p0000002", "notes", "set", [1])
    joined.snapshot()
    joined.write("run@p0000002", "notes", "append", 2)
    run.write("run", "x", "set", 2)
    run.write("run", "x", "set", 3)
    run.snapshot()

    state = state_at([*joined.evidence, *run.evidence], 100, "actual")

    assert state.values == {"run": {"x": 3}, "run@p0000002": {"notes": [1, 2]}}


def test_what_another_process_lost_leaves_the_state_before_it_joined() -> None:
    run = recorder()
    for number in range(4):
        run.write("run", "x", "set", number)
    joined = Recorder(process="p0000002", seq=2, state={})
    for number in range(3):
        joined.write("run@p0000002", "y", "set", number)
    evidence = [*run.evidence, *(replace(one, caller_seq=2) for one in joined.evidence[1:])]

    with pytest.raises(CheckpointGap, match="number 1 of process p0000002"):
        state_at(evidence, 4, "actual")
    assert missing_numbers(evidence) == {"p0000002": [1]}
