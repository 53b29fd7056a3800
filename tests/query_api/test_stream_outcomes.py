"""What a resumed run does with a stream: by who closed it, by who went on after it, and by what of it was kept."""

from typing import Any

import pytest

from backtrail import semconv
from backtrail.canonical import canonical_text, value_hash
from backtrail_query.records import read_records
from backtrail_query.state import read_state
from backtrail_store.rows import SpanRow
from tests.query_api.replayable import bundles, only, policies, run, step


def stream(key: str, seq: int, status: str = "completed", **more: Any) -> SpanRow:
    told = {"count": 2, "complete": False, "closed_by": "consumer", "chunks": [1, 2], "t_ms": [0.5, 1.5]}
    told |= {name: more.pop(name) for name in (*told, "dropped_seq", "bytes") if name in more}
    return step(key, seq, status, **{semconv.STEP_STREAM: canonical_text(told), **more})


def test_a_stream_read_to_its_end_is_handed_out_with_its_items() -> None:
    found = bundles(run(), stream("a", 1, closed_by="end", complete=True))

    record = only(found, "a")
    assert (record.replay_policy, record.handled) == ("cached", None)
    assert record.stream is not None
    assert (record.stream.chunks, record.stream.closed_by, record.stream.count) == ([1, 2], "end", 2)


@pytest.mark.parametrize(
    ("later", "policy"),
    [
        (step("b", 5, "failed"), ("cached", "completed")),
        (step("b", 2, "failed", seq_end=3), ("live", "closed_open")),
    ],
    ids=["after it", "while it was read"],
)
def test_one_closed_early_is_served_if_somebody_went_on_after_it(later: SpanRow, policy: tuple[str, str]) -> None:
    found = bundles(run(**{semconv.RUN_FAILED_STEP_KEY: "b"}), stream("a", 1, seq_end=4), later)

    assert policies(found)["a"] == policy
    assert (only(found, "a").stream is None) is (policy[0] == "live")


def test_one_that_was_dropped_ended_when_it_was_dropped() -> None:
    found = bundles(
        run(**{semconv.RUN_FAILED_STEP_KEY: "b"}),
        stream("a", 1, seq_end=3, dropped_seq=1),
        step("b", 2, "failed", seq_end=4),
    )

    assert policies(found)["a"] == ("cached", "completed")


def test_one_closed_early_in_a_run_that_completed_is_served() -> None:
    assert policies(bundles(run("completed"), stream("a", 1)))["a"] == ("cached", "completed")


def test_one_that_broke_off_keeps_its_items_for_whoever_handled_that() -> None:
    broken = stream("a", 1, "failed", closed_by="error")

    found = bundles(run(**{semconv.RUN_FAILED_STEP_KEY: "b"}), broken, step("b", 3, "failed"))
    assert policies(found)["a"] == ("raise", "failed_handled")
    assert only(found, "a").stream is not None

    found = bundles(run(**{semconv.RUN_FAILED_STEP_KEY: "a"}), broken)
    assert policies(found)["a"] == ("live", "failed_terminal")
    assert only(found, "a").stream is None


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"count": 3, "bytes": 9}, "too_large"),
        ({"chunks": None}, "not_captured"),
        ({semconv.STEP_STREAM: '{"count":'}, "digest_mismatch"),
        ({semconv.DIGESTS: '{"backtrail.step.stream":[3,"00"]}'}, "digest_mismatch"),
    ],
)
@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_one_that_was_not_kept_whole_is_refused(told: dict[str, Any], reason: str, status: str) -> None:
    found = bundles(run("completed"), stream("a", 1, status, **told))

    assert policies(found)["a"] == ("refuse", reason)
    assert only(found, "a").stream is None


def test_what_a_stream_wrote_that_runs_again_is_not_in_the_state() -> None:
    change = {"op": "set", "key": "k", "value": 1, "prev": None, "hash": value_hash(1)}
    writing = stream(
        "a", 1, seq_end=4, **{semconv.STEP_DELTAS: canonical_text([{"seq": 2, "scope": "run", "ops": [change]}])}
    )

    def values(*spans: SpanRow) -> object:
        return read_state(read_records([run(), *spans]), "end", "effective")["values"]

    assert values(writing) == {"run": {}}
    assert values(writing, step("b", 5)) == {"run": {"k": 1}}
