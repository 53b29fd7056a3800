"""Which answer a call gets: the matching engine over bundles made by hand, no server and no run."""

import asyncio
import random
from hashlib import sha256
from typing import Any

import pytest

from backtrail._replay.bundle import Bundle, StepRecord, parse_page
from backtrail._replay.decision import Decision, Enter, Hang, Live, Raise, ReplayOptions, Served
from backtrail._replay.replay import Replay
from backtrail._runs.identity import StepCall
from backtrail.canonical import H, canonical_text
from backtrail.errors import ReplayDivergenceError, ReplayError, ResultNotReplayableError, UnknownOutcomeError


def recorded(key: str, result: Any = None, **changes: Any) -> dict[str, Any]:
    step: dict[str, Any] = {
        "step_key": key,
        "loose_key": "loose",
        "agent_key": "agent",
        "agent_name": "support",
        "scope": [],
        "name": "search",
        "kind": "tool",
        "occurrence": 0,
        "seq_start": 1,
        "seq_end": 2,
        "end_batch": 1,
        "status": "completed",
        "replay_policy": "cached",
        "policy_reason": "completed",
        "input_hash": H({"q": "same"}),
        "hash_alg": "sorted-json-sha256/1",
        "input": {"q": "same"},
        "result": result,
        "source": {"run_id": "1" * 32, "span_id": "2" * 16},
    }
    return step | changes


def bundle_of(
    *steps: dict[str, Any], mode: str = "resume", status: str = "failed", effects: tuple[dict[str, Any], ...] = ()
) -> Bundle:
    page = {
        "schema": "replay-bundle/1",
        "run": {"run_id": "1" * 32, "root_span_id": "3" * 16, "name": "handle", "status": status, "input": {}},
        "lineage": [{"run_id": "1" * 32, "mode": None, "generation": 0, "status": "failed", "at": None}],
        "target": {
            "mode": mode,
            "at": "failure",
            "step_key": None,
            "seq": None,
            "lineage_id": "lineage",
            "reuse": "matching",
        },
        "completeness": {"complete": True},
        "agents": [],
        "steps": list(steps),
        "effects": list(effects),
        "page": {"next": None},
    }
    return parse_page(canonical_text({**page, "sha256": sha256(canonical_text(page).encode()).hexdigest()}).encode())


def call(key: str, scope: str = "[]", **changes: Any) -> StepCall:
    values: dict[str, Any] = {
        "step_key": key,
        "loose_key": "loose",
        "agent_key": "agent",
        "agent_name": "support",
        "scope": scope,
        "name": "search",
        "explicit_key": None,
        "version": None,
        "occurrence": 0,
        "input_hash": H({"q": "same"}),
        "input": {"q": "same"},
        "seq_start": 1,
    }
    return StepCall(**values | changes)


def answer(decision: Decision) -> Any:
    assert isinstance(decision, Served), decision
    return decision.record.result


def test_a_record_answers_once() -> None:
    replay = Replay(bundle_of(recorded("k0", "queued"), recorded("k1", "running"), recorded("k2", "done")))

    answers = [answer(replay.on_call(call(f"k{n}"))) for n in range(3)]

    assert answers == ["queued", "running", "done"]
    assert replay.on_call(call("k2")) == Live()
    assert (replay.report.hits, replay.report.live) == (3, 1)


def test_a_live_branch_takes_nothing_from_its_siblings() -> None:
    branches = [f'[["task","branch",{n}]]' for n in range(3)]
    steps = [
        recorded(f"b{n}s{s}", f"{n}.{s}", scope=[["task", "branch", n]])
        for n in range(3)
        for s in range(3)
        if (n, s) != (1, 0)
    ]
    cut_off = recorded(
        "b1s0", scope=[["task", "branch", 1]], status="incomplete", replay_policy="live", policy_reason="incomplete"
    )
    # Branch 1 went no further than its first step, so its other two have no record.
    replay = Replay(bundle_of(*[step for step in steps if not step["step_key"].startswith("b1")], cut_off))
    for branch in branches:
        replay.opened(branch)

    live = [replay.on_call(call(f"b1s{s}", branches[1])) for s in range(3)]
    served = [answer(replay.on_call(call(f"b{n}s{s}", branches[n]))) for n in (0, 2) for s in range(3)]

    assert live == [Live()] * 3
    assert served == ["0.0", "0.1", "0.2", "2.0", "2.1", "2.2"]
    assert (replay.report.hits, replay.report.live, replay.report.divergences) == (6, 3, [])


def test_a_call_that_moved_to_another_scope_is_found_by_its_input() -> None:
    replay = Replay(bundle_of(recorded("in a task", "kept", scope=[["task", "wait_for", 0]])))

    decision = replay.on_call(call("outside"))

    assert isinstance(decision, Served)
    assert (decision.match, decision.record.result) == ("loose", "kept")
    assert [one.kind for one in replay.report.divergences] == ["order_changed"]


@pytest.mark.parametrize(("status", "kinds"), [("failed", []), ("completed", ["missing_step"])])
def test_a_call_past_the_record_is_a_difference_only_if_the_run_had_ended(status: str, kinds: list[str]) -> None:
    replay = Replay(bundle_of(recorded("k0", "kept"), status=status))
    replay.on_call(call("k0"))

    assert replay.on_call(call("k1")) == Live()
    assert [one.kind for one in replay.report.divergences] == kinds


def test_another_version_of_a_step_is_not_found_by_its_input() -> None:
    replay = Replay(bundle_of(recorded("v1", "old", version="1", scope=[["task", "gone", 0]])))

    assert replay.on_call(call("v2", version="2")) == Live()


def test_a_step_with_another_input_runs_live_and_is_reported_with_the_difference() -> None:
    replay = Replay(bundle_of(recorded("k0", "kept")))

    decision = replay.on_call(call("k9", input={"q": "other"}, input_hash=H({"q": "other"}), loose_key="other"))

    assert decision == Live()
    assert [(one.kind, one.detail) for one in replay.report.divergences] == [
        ("input_changed", "its input differs in q: 'same' → 'other'")
    ]


@pytest.mark.parametrize(("wish", "expected"), [("reuse", "kept"), ("raise", None)])
def test_another_input_can_reuse_the_record_or_stop(wish: Any, expected: str | None) -> None:
    replay = Replay(bundle_of(recorded("k0", "kept")), ReplayOptions(on_input_change=wish))
    other = call("k9", input={"q": "other"}, input_hash=H({"q": "other"}), loose_key="other")

    if expected is None:
        with pytest.raises(ReplayDivergenceError, match="called differently"):
            replay.on_call(other)
    else:
        assert answer(replay.on_call(other)) == expected


def test_outcomes_decide_what_a_matching_call_does() -> None:
    steps = [
        recorded("cached", 1),
        recorded("raise", status="failed", replay_policy="raise", handled=True),
        recorded("hang", status="cancelled", replay_policy="hang", handled=True),
        recorded("live", status="failed", replay_policy="live"),
        recorded("enter", status="failed", replay_policy="enter"),
    ]
    replay = Replay(bundle_of(*steps))

    decisions = [type(replay.on_call(call(step["step_key"]))) for step in steps]

    assert decisions == [Served, Raise, Hang, Live, Enter]


def test_an_unsafe_step_of_unknown_outcome_stops_the_replay_for_good() -> None:
    unsafe = recorded(
        "k0", status="incomplete", replay_policy="refuse", policy_reason="unknown_outcome", side_effect="unsafe"
    )
    replay = Replay(bundle_of(unsafe, recorded("k1", "kept")))

    with pytest.raises(UnknownOutcomeError, match="nobody knows whether"):
        replay.on_call(call("k0"))
    with pytest.raises(UnknownOutcomeError):
        replay.on_call(call("k1"))
    assert isinstance(replay.failure, UnknownOutcomeError)


def test_an_unsafe_step_runs_again_when_it_is_allowed_by_name() -> None:
    unsafe = recorded("k0", status="incomplete", replay_policy="refuse", policy_reason="unknown_outcome")

    assert Replay(bundle_of(unsafe), ReplayOptions(allow_unsafe=["search"])).on_call(call("k0")) == Live()
    with pytest.raises(UnknownOutcomeError):
        Replay(bundle_of(unsafe), ReplayOptions(allow_unsafe=["pay"])).on_call(call("k0"))


def test_a_result_that_was_not_kept_is_refused_or_run_again() -> None:
    lost = recorded("k0", replay_policy="refuse", policy_reason="opaque")

    with pytest.raises(ResultNotReplayableError, match="holds an object that no recording can keep") as refusal:
        Replay(bundle_of(lost)).on_call(call("k0"))
    assert refusal.value.reason == "opaque"
    assert Replay(bundle_of(lost), ReplayOptions(on_undecodable="live")).on_call(call("k0")) == Live()


def test_a_hit_takes_the_records_and_the_deltas_nested_in_it() -> None:
    inner = recorded("inner", 1, scope=[["step", "outer"]], deltas=[{"seq": 3, "scope": "run", "ops": []}])
    deep = recorded("deep", 1, scope=[["step", "inner"]], deltas=[{"seq": 2, "scope": "run", "ops": []}])
    outer = recorded("outer", 2, deltas=[{"seq": 4, "scope": "run", "ops": []}])
    replay = Replay(bundle_of(outer, inner, deep))

    decision = replay.on_call(call("outer"))

    assert isinstance(decision, Served)
    assert [delta["seq"] for delta in replay.deltas_of(decision.record)] == [2, 3, 4]
    assert replay.finished().divergences == []


def test_answers_nobody_asked_for_are_reported() -> None:
    replay = Replay(bundle_of(recorded("k0", 1), recorded("k1", 2)))
    replay.on_call(call("k0"))

    assert [(one.kind, one.step_key) for one in replay.finished().divergences] == [("unconsumed_step", "k1")]


def test_what_another_process_asked_for_is_not_missed_in_this_one() -> None:
    remote = recorded("remote", 1, scope=[["remote", "0" * 32, 0]])
    forked = recorded("forked", 1, scope=[["task", "a", 0], ["process", "work", 0]])
    within = recorded("within", 1, scope=[["step", "remote"]])

    assert Replay(bundle_of(remote, forked, within)).finished().divergences == []


def test_an_answer_from_another_process_is_not_taken_for_a_call_that_has_moved() -> None:
    remote = recorded("remote", 1, scope=[["remote", "0" * 32, 0]])

    assert Replay(bundle_of(remote)).on_call(call("k0")) == Live()


def test_what_was_called_in_a_try_that_was_not_needed_again_is_not_missed() -> None:
    attempts = [{"n": 1, "status": "failed"}, {"n": 2, "status": "failed"}]
    tried = recorded(
        "tried", status="failed", replay_policy="enter", policy_reason="failed_terminal", attempts=attempts
    )
    first, second = (recorded(f"in try {n}", n, scope=[["step", "tried"]], occurrence=n) for n in (0, 1))
    replay = Replay(bundle_of(tried, first, second))

    replay.on_call(call("tried"))
    answered = replay.on_call(call("in try 0", scope=canonical_text([["step", "tried"]])))

    assert answer(answered) == 0
    assert replay.finished().divergences == []


def test_changed_code_is_warned_of_run_again_or_refused() -> None:
    step = recorded("k0", 1, code_hash="old")

    assert answer(Replay(bundle_of(step)).on_call(call("k0", code_hash="new"))) == 1
    assert Replay(bundle_of(step), ReplayOptions(code_change="rerun")).on_call(call("k0", code_hash="new")) == Live()
    with pytest.raises(ReplayDivergenceError, match="code of step"):
        Replay(bundle_of(step), ReplayOptions(code_change="raise")).on_call(call("k0", code_hash="new"))


def test_effects_are_served_until_their_scope_goes_live() -> None:
    effect = {"key": "e0", "seq": 1, "scope": [], "name": "now", "occurrence": 0, "value": 1}
    later = effect | {"key": "e1", "occurrence": 1, "value": 2}
    replay = Replay(bundle_of(recorded("k0", replay_policy="live"), effects=(effect, later)))

    first = replay.on_effect("now", "[]", "e0")
    assert first is not None
    assert first.value == 1
    replay.on_call(call("k0"))
    assert replay.on_effect("now", "[]", "e1") is None


def test_a_sibling_scope_keeps_replaying_and_a_later_one_starts_live() -> None:
    replay = Replay(bundle_of(recorded("k0", replay_policy="live", scope=[["task", "a", 0]])))
    for scope in ("[]", '[["task","a",0]]', '[["task","b",0]]'):
        replay.opened(scope)

    replay.on_call(call("k0", '[["task","a",0]]'))
    replay.opened('[["task","c",0]]')

    live = [replay.is_live(f'[["task","{name}",0]]') for name in "abc"]
    assert live == [True, False, True]


def test_an_unknown_mode_names_the_modes_there_are() -> None:
    with pytest.raises(ReplayError, match="'strict' is not available; there is 'resume'"):
        Replay(bundle_of(mode="strict"))


async def test_answers_are_released_in_the_order_in_which_the_steps_ended() -> None:
    for _ in range(100):
        order = random.sample(range(8), 8)
        steps = [
            recorded(f"k{n}", n, end_batch=place, seq_end=100 + place, scope=[["task", "branch", n]])
            for place, n in enumerate(order)
        ]
        replay = Replay(bundle_of(*steps))
        ended: list[int] = []

        async def branch(n: int, replay: Replay = replay, ended: list[int] = ended) -> None:
            for _ in range(random.randrange(3)):
                await asyncio.sleep(0)
            decision = replay.on_call(call(f"k{n}", f'[["task","branch",{n}]]'))
            assert isinstance(decision, Served)
            await replay.released(decision.record)
            ended.append(decision.record.result)  # type: ignore[arg-type]

        await asyncio.gather(*(branch(n) for n in range(8)))
        assert ended == order


async def test_two_answers_of_one_batch_come_in_one_turn_of_the_loop() -> None:
    together = [recorded("k0", end_batch=5, seq_end=6), recorded("k1", end_batch=5, seq_end=7)]
    replay = Replay(bundle_of(*together, recorded("k2", end_batch=9, seq_end=10)))
    waiting = [asyncio.ensure_future(replay.released(step)) for step in reversed(replay.bundle.steps)]

    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)

    assert len(done) == 2


async def test_a_cancelled_waiter_holds_nobody_up() -> None:
    replay = Replay(bundle_of(recorded("k0", end_batch=1), recorded("k1", end_batch=2)))
    first, second = (asyncio.ensure_future(replay.released(step)) for step in replay.bundle.steps)
    await asyncio.sleep(0)
    first.cancel()

    await asyncio.wait_for(second, 1)
    assert first.cancelled()


async def test_a_loser_that_nobody_cancels_any_more_runs_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backtrail._replay.hanging.HUNG_GRACE", 0.02)
    lost = recorded("k0", status="cancelled", replay_policy="hang", handled=True)
    replay = Replay(bundle_of(lost))
    decision = replay.on_call(call("k0"))
    assert isinstance(decision, Hang)

    await replay.hang()
    replay.runs_after_all(call("k0"), decision.record, "nothing cancels it")

    assert (replay.report.hits, replay.report.live) == (0, 1)


async def test_a_loser_waits_for_the_timeout_that_cancelled_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backtrail._replay.hanging.HUNG_GRACE", 0.01)
    replay = Replay(bundle_of(recorded("k0", status="cancelled", replay_policy="hang", handled=True)))
    replay.on_call(call("k0"))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(replay.hang(), 0.1)

    assert (replay.report.hits, replay.report.live) == (1, 0)


def test_a_circle_of_scopes_in_a_bundle_ends() -> None:
    one = recorded("a", 1, scope=[["step", "b"]])
    other = recorded("b", 2, scope=[["step", "a"]])
    replay = Replay(bundle_of(one, other))

    assert answer(replay.on_call(call("a", '[["step","b"]]'))) == 1
    assert isinstance(replay.bundle.steps[0], StepRecord)
