"""What a value of the state is taken for: the same as before, longer, in another order, changed behind our back."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import backtrail
from backtrail import RunContext, semconv
from backtrail._payloads.codec import encode
from backtrail._payloads.content import json_text
from backtrail._runs.run import RunRuntime
from backtrail._spans.recorder import Recorder
from backtrail._state.mutations import _warn_once
from backtrail._state.state_value import StateValue, is_same
from backtrail.canonical import value_hash
from backtrail.testing import CapturedSpans, capture_spans
from backtrail_query.deltas import read_deltas

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


def runtime() -> RunRuntime:
    return RunRuntime(Recorder(), "main", RunContext())


@given(PLAIN, PLAIN)
def test_only_what_would_be_encoded_alike_is_taken_for_the_same(one: Any, other: Any) -> None:
    encoded = encode(other).json

    assert not is_same(one, encoded) or json_text(encode(one).json) == json_text(encoded)


@given(st.lists(PLAIN, max_size=5), st.lists(PLAIN, max_size=5), st.integers(0, 5))
def test_a_value_is_what_it_would_be_without_the_one_before(old: list[Any], new: list[Any], kept: int) -> None:
    run, value = runtime(), old[:kept] + new

    after = StateValue.of(value, run, StateValue.of(old, run, None))

    alone = StateValue.of(value, run, None)
    assert (after.hash, json_text(after.encoded)) == (alone.hash, json_text(alone.encoded))
    assert after.hash == value_hash(after.encoded)
    assert json_text(encode(after.read()).json) == json_text(encode(alone.read()).json)


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), (0.0, -0.0), ({"a": 1}, {"a": True})])
def test_what_python_holds_equal_is_told_apart(one: Any, other: Any) -> None:
    assert one == other
    assert is_same([one], [one])
    assert not is_same([one], [other])


def operations(spans: CapturedSpans) -> list[str]:
    deltas = [json.loads(str((span.attributes or {})[semconv.STATE_DELTAS])) for span in spans.of_kind("state")]
    return [operation["op"] for (delta,) in deltas for operation in delta["ops"]]


def folded(spans: CapturedSpans, key: str) -> Any:
    """The value as the server puts it together."""
    value: Any = None
    for span in spans.of_kind("state"):
        for delta in read_deltas(json.loads(str((span.attributes or {})[semconv.STATE_DELTAS]))):
            for op in delta.ops:
                value = op.apply(value) if op.key == key else value
    return value


def test_the_order_of_keys_is_kept_wherever_it_changes() -> None:
    values: list[Any] = [
        {"a": 1, "b": 2, "c": {"x": 1, "y": 2}},
        {"b": 2, "a": 1, "c": {"x": 1, "y": 2}},
        {"b": 2, "a": 1, "c": {"y": 2, "x": 1}},
        {"b": 2, "a": 1, "c": {"y": 2, "x": 1}, "d": 4},
        {"e": 5, "b": 2, "a": 1, "c": {"y": 2, "x": 1}, "d": 4},
    ]

    @backtrail.run
    def main(count: int, ctx: RunContext) -> None:
        for value in values[:count]:
            ctx.set_state("fields", value)
            assert list(ctx.get_state("fields")) == list(value)

    for count in range(1, len(values) + 1):
        with capture_spans() as spans:
            main(count)
        assert json.dumps(folded(spans, "fields")) == json.dumps(values[count - 1])
    assert operations(spans) == ["set", "set", "merge", "merge", "set"]


def test_a_growing_list_costs_its_new_items() -> None:
    @backtrail.run
    def main(ctx: RunContext) -> None:
        messages: list[dict[str, Any]] = []
        for number in range(4):
            messages.append({"role": "user", "content": f"{number}", "n": number})
            ctx.set_state("messages", messages)
        messages[0]["n"] = True
        ctx.set_state("messages", messages)
        assert ctx.get_state("messages") == messages

    with capture_spans() as spans:
        main()

    assert operations(spans) == ["set", "append", "append", "append", "set"]
    assert folded(spans, "messages")[0]["n"] is True


@pytest.fixture
def untold() -> None:
    _warn_once.cache_clear()


def changing(ctx: RunContext, *, checkpoint: bool) -> list[str]:
    notes = ["a"]
    ctx.set_state("notes", notes)
    notes.append("b")
    if checkpoint:
        ctx.checkpoint_sync("here")
    found: list[str] = ctx.get_state("notes")
    return found


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize("checkpoint", [True, False])
def test_a_change_in_place_is_warned_of(checkpoint: bool, caplog: pytest.LogCaptureFixture) -> None:
    @backtrail.run
    def main(ctx: RunContext) -> list[str]:
        return changing(ctx, checkpoint=checkpoint)

    with capture_spans(), caplog.at_level(logging.WARNING):
        assert main() == ["a"]

    assert [record.message.partition(",")[0] for record in caplog.records] == [
        "state 'notes' was changed in place after set_state"
    ]


@pytest.mark.usefixtures("untold")
def test_or_recorded_as_set_where_that_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    @backtrail.step
    def work(ctx: RunContext, notes: list[str]) -> None:
        ctx.set_state("notes", notes)
        notes.append("b")

    @backtrail.run
    def main(ctx: RunContext) -> list[str]:
        notes = ["a"]
        work(ctx, notes)
        assert ctx.get_state("notes") == ["a", "b"]
        notes.append("c")
        ctx.checkpoint_sync("here")
        found: list[str] = ctx.get_state("notes")
        return found

    with capture_spans(track_mutations=True) as spans, caplog.at_level(logging.WARNING):
        assert main() == ["a", "b", "c"]

    assert caplog.records == []
    assert operations(spans) == ["append", "append"]
    assert (spans.of_kind("state")[0].attributes or {})["backtrail.step.key"]


def test_a_strict_round_trip_gives_live_callers_what_a_replay_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    shared: dict[str, tuple[int, ...]] = {"a": (1, 2)}

    @backtrail.step
    def give() -> dict[str, tuple[int, ...]]:
        return shared

    @backtrail.step
    def give_lock() -> object:
        return pytest

    @backtrail.run
    def main() -> Any:
        return give(), give_lock()

    backtrail.configure(strict_roundtrip=True)
    try:
        given, module = main()
    finally:
        backtrail.shutdown()
    assert given == shared
    assert given is not shared
    assert module is pytest
    assert main()[0] is shared
