"""State is recorded as what changed; folding the record gives what memory held, at every seq."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from pydantic import BaseModel
from pydantic_core import from_json

import backtrail
from backtrail import RunContext, get_current_run_context, semconv
from backtrail.canonical import state_root
from backtrail.testing import CapturedSpans, capture_spans
from backtrail_query.deltas import Values, read_deltas, read_values
from backtrail_query.evidence import Evidence, SnapshotPart
from backtrail_query.fold import state_at


def attribute(span: ReadableSpan, name: str) -> Any:
    return (span.attributes or {}).get(name)


def payload(span: ReadableSpan, name: str) -> Any:
    text = attribute(span, name)
    return from_json(text) if isinstance(text, str) else None


def operations(spans: CapturedSpans) -> list[dict[str, Any]]:
    deltas = [delta for span in spans for delta in payload(span, semconv.STATE_DELTAS) or []]
    return [{k: v for k, v in op.items() if k not in ("prev", "hash")} for delta in deltas for op in delta["ops"]]


def recorded(*values: tuple[str, Any]) -> list[dict[str, Any]]:
    @backtrail.run
    def main(ctx: RunContext) -> None:
        for key, value in values:
            ctx.delete_state(key) if value is ... else ctx.set_state(key, value)

    with capture_spans() as spans:
        main()
    return operations(spans)


def test_only_what_changed_is_recorded() -> None:
    assert recorded(("m", [1]), ("m", [1, 2]), ("m", [1, 2]), ("m", [3])) == [
        {"op": "set", "key": "m", "value": [1]},
        {"op": "append", "key": "m", "from": 1, "values": [2]},
        {"op": "set", "key": "m", "value": [3]},
    ]
    assert recorded(("t", "ab"), ("t", "abc"), ("t", "x"), ("t", ...), ("t", ...)) == [
        {"op": "set", "key": "t", "value": "ab"},
        {"op": "text", "key": "t", "from": 2, "suffix": "c"},
        {"op": "set", "key": "t", "value": "x"},
        {"op": "delete", "key": "t"},
    ]
    assert recorded(("d", {"a": 1, "b": 2, "c": 3}), ("d", {"a": 1, "b": True})) == [
        {"op": "set", "key": "d", "value": {"a": 1, "b": 2, "c": 3}},
        {"op": "set", "key": "d", "value": {"a": 1, "b": True}},
    ]
    assert recorded(("d", {"a": 1, "b": 2, "c": 3}), ("d", {"a": 1, "b": 2, "x": 5})) == [
        {"op": "set", "key": "d", "value": {"a": 1, "b": 2, "c": 3}},
        {"op": "merge", "key": "d", "set": {"x": 5}, "delete": ["c"]},
    ]
    assert recorded(("n", 1), ("n", 1.0), ("n", True)) == [
        {"op": "set", "key": "n", "value": 1},
        {"op": "set", "key": "n", "value": 1.0},
        {"op": "set", "key": "n", "value": True},
    ]


class Profile(BaseModel):
    name: str


def test_what_is_read_is_a_copy_of_its_type() -> None:
    @backtrail.run
    def main(ctx: RunContext) -> None:
        given = [1]
        ctx.set_state("list", given)
        given.append(2)
        ctx.get_state("list").append(3)
        ctx.set_state("profile", Profile(name="a"))
        ctx.get_state("profile").name = "changed"

        assert ctx.get_state("list") == [1]
        assert ctx.get_state("profile") == Profile(name="a")
        assert ctx.get_state("missing", default=7) == 7

    with capture_spans():
        main()


def test_agents_have_state_of_their_own() -> None:
    @backtrail.agent
    def worker(n: int) -> Any:
        me = backtrail.get_current_agent_context()
        me.set_state("n", n)
        return me.get_state("n"), get_current_run_context().get_state("n")

    @backtrail.run
    def main(ctx: RunContext) -> Any:
        ctx.set_state("n", 0)
        return worker(1), worker(2)

    with capture_spans():
        assert main() == ((1, 0), (2, 0))


def test_the_changes_of_a_step_ride_on_its_span() -> None:
    @backtrail.step
    def write() -> None:
        get_current_run_context().set_state("a", 1)

    @backtrail.run
    def main() -> None:
        write()

    with capture_spans() as spans:
        main()

    (delta,) = payload(spans.named("write"), semconv.STEP_DELTAS)
    assert delta["ops"][0]["value"] == 1
    assert attribute(spans.named("write"), semconv.STEP_SEQ_START) < delta["seq"]
    assert spans.of_kind("state") == []


def test_snapshots_stand_at_the_start_at_the_end_and_where_deltas_have_grown() -> None:
    @backtrail.run
    def main(ctx: RunContext) -> None:
        for n in range(40):
            ctx.set_state(f"k{n}", "x" * 1000)

    with capture_spans() as spans:
        main.with_options(state={"first": 1})()

    snapshots = spans.of_kind("checkpoint")
    assert attribute(snapshots[0], semconv.CHECKPOINT_SEQ) == 0
    assert payload(snapshots[0], semconv.CHECKPOINT_VALUES) == {"run": {"first": 1}}
    assert 3 <= len(snapshots) <= 5
    assert len(payload(snapshots[-1], semconv.CHECKPOINT_VALUES)["run"]) == 41


def test_a_snapshot_over_the_limit_comes_in_parts() -> None:
    @backtrail.run
    def main(ctx: RunContext) -> None:
        for n in range(10):
            ctx.set_state(f"k{n}", "x" * 4000)

    with capture_spans(max_payload_bytes=20_000) as spans:
        main()

    last = [span for span in spans.of_kind("checkpoint") if attribute(span, semconv.CHECKPOINT_PARTS) > 1]
    by_id: dict[str, dict[str, Any]] = {}
    for span in last:
        values = by_id.setdefault(attribute(span, semconv.CHECKPOINT_ID), {})
        values.update(payload(span, semconv.CHECKPOINT_VALUES)["run"])
    assert len(list(by_id.values())[-1]) == 10


def test_a_value_over_the_limit_is_recorded_as_a_stub_with_the_hash_of_the_value() -> None:
    large = ["x" * 30_000, "y" * 30_000]

    @backtrail.run
    def main(ctx: RunContext) -> None:
        ctx.set_state("m", ["x"])
        ctx.set_state("m", large)
        assert ctx.get_state("m") == large
        ctx.set_state("m", [*large, "z"])
        ctx.set_state("n", 1)
        ctx.set_state("m", ["small"])
        ctx.set_state("m", ["small", "again"])

    with capture_spans(max_payload_bytes=40_000) as spans:
        main()

    kinds = [(op["op"], isinstance(op.get("value"), dict)) for op in operations(spans)]
    assert kinds == [("set", False), ("set", True), ("set", True), ("set", False), ("set", False), ("append", False)]
    evidence = evidence_of(spans)
    at_large = next(one.deltas[0].seq for one in evidence if one.deltas and one.deltas[0].ops[0].key == "n")
    folded = state_at(evidence, at_large, "actual")
    assert [each.key for each in folded.truncated] == ["m"]
    assert state_at(evidence, 10**9, "actual").values == {"run": {"n": 1, "m": ["small", "again"]}}


def test_an_explicit_checkpoint_is_acknowledged_when_it_returns() -> None:
    @backtrail.run
    async def main(ctx: RunContext) -> backtrail.Checkpoint:
        ctx.set_state("a", 1)
        assert ctx.checkpoint_sync("first").is_durable
        return await ctx.checkpoint("second", extra={"why": "test"})

    with capture_spans() as spans:
        checkpoint = asyncio.run(main())

    span = spans.named("checkpoint second")
    assert (checkpoint.is_durable, checkpoint.name) == (True, "second")
    assert attribute(span, semconv.CHECKPOINT_ID) == checkpoint.checkpoint_id
    assert attribute(span, semconv.CHECKPOINT_ROOT) == state_root({"run": {"a": 1}})
    assert payload(span, semconv.CHECKPOINT_EXTRA) == {"why": "test"}
    assert attribute(span, semconv.CHECKPOINT_AUTO) is False


@pytest.mark.parametrize("steps_write", [True, False])
def test_five_thousand_writes_lose_nothing(steps_write: bool) -> None:
    @backtrail.step
    def write() -> None:
        for n in range(5_000):
            get_current_run_context().set_state("n", n)

    @backtrail.run
    def main() -> None:
        write() if steps_write else write.__wrapped__()

    with capture_spans(max_payload_bytes=100_000) as spans:
        main()

    folded = state_at(evidence_of(spans), 10**9, "actual")
    assert folded.values == {"run": {"n": 4_999}}


# --- Against the server's fold ------------------------------------------------------------------------------


def evidence_of(spans: CapturedSpans) -> list[Evidence]:
    found = []
    for span in spans:
        name = {"step": semconv.STEP_DELTAS, "state": semconv.STATE_DELTAS}.get(attribute(span, semconv.KIND), "")
        deltas = tuple(read_deltas(payload(span, name) or []))
        numbers = (semconv.STEP_SEQ_START, semconv.STEP_SEQ_END, semconv.AGENT_SEQ_START, semconv.AGENT_SEQ_END)
        named = [attribute(span, each) for each in (*numbers, semconv.CHECKPOINT_SEQ, semconv.RUN_SEQ_MAX)]
        seqs = tuple(seq for seq in named if seq is not None) + tuple(delta.seq for delta in deltas)
        snapshot = None
        if attribute(span, semconv.KIND) == "checkpoint":
            snapshot = SnapshotPart(
                checkpoint_id=attribute(span, semconv.CHECKPOINT_ID),
                seq=attribute(span, semconv.CHECKPOINT_SEQ),
                part=attribute(span, semconv.CHECKPOINT_PART),
                parts=attribute(span, semconv.CHECKPOINT_PARTS),
                values=read_values(payload(span, semconv.CHECKPOINT_VALUES)),
            )
        found.append(
            Evidence(
                process=attribute(span, semconv.PROCESS),
                number=attribute(span, semconv.NUMBER),
                number_max=attribute(span, semconv.RUN_NUMBER_MAX),
                seq_start=min(seqs, default=0),
                seqs=seqs,
                step_key=attribute(span, semconv.STEP_KEY),
                deltas=deltas,
                snapshot=snapshot,
            )
        )
    return found


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, width=16) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=6,
)
writes = st.tuples(st.sampled_from(["x", "y"]), st.sampled_from(["set", "delete", "grow"]), json_values, st.booleans())


def grown(old: Any, value: Any) -> Any:
    if isinstance(old, list):
        return [*old, value]
    if isinstance(old, str):
        return old + "more"
    return {**old, "d": value} if isinstance(old, dict) else value


@settings(deadline=None, max_examples=60)
@given(st.lists(writes, max_size=12))
def test_the_fold_of_the_record_is_what_memory_held_at_every_seq(program: list[tuple[str, str, Any, bool]]) -> None:
    history: dict[int, Values] = {}

    @backtrail.step
    def in_a_step(key: str, deed: str, value: Any) -> None:
        apply(key, deed, value)

    def apply(key: str, deed: str, value: Any) -> None:
        ctx = get_current_run_context()
        if deed == "delete":
            ctx.delete_state(key)
        else:
            ctx.set_state(key, value if deed == "set" else grown(ctx.get_state(key), value))
        runtime = ctx.agent.runtime
        history[runtime.seq] = runtime.state.values()

    @backtrail.run
    def main() -> None:
        for key, deed, value, is_in_step in program:
            (in_a_step if is_in_step else apply)(key, deed, value)

    with capture_spans() as spans:
        main()

    evidence = evidence_of(spans)
    for seq, values in history.items():
        folded = state_at(evidence, seq, "actual")
        wanted = {scope: keys for scope, keys in values.items() if keys}
        assert {scope: keys for scope, keys in folded.values.items() if keys} == wanted
        assert folded.root == state_root(values)
