"""What became of each recorded call, and what a resumed run does when it recurs."""

from dataclasses import replace

import pytest

from backtrail import semconv
from tests.query_api.replayable import bundles, only, policies, run, step


def test_a_failure_that_was_caught_is_raised_again_and_the_last_one_runs_live() -> None:
    found = bundles(
        run(**{semconv.RUN_FAILED_STEP_KEY: "c"}),
        step("a", 1, "failed", name="primary"),
        step("b", 3, name="fallback", result="B"),
        step("c", 5, "failed", name="finish"),
    )

    assert policies(found) == {
        "a": ("raise", "failed_handled"),
        "b": ("cached", "completed"),
        "c": ("live", "failed_terminal"),
    }
    assert [one.handled for one in found.steps] == [True, None, False]


def test_a_failure_is_handled_by_going_on_in_tasks_that_were_begun_since() -> None:
    found = bundles(
        run(**{semconv.RUN_FAILED_STEP_KEY: "d"}),
        step("other", 1, name="other", scope=[["task", "other", 0]]),
        step("a", 3, "failed", name="primary"),
        step("b", 5, "cancelled", name="slow"),
        step("c", 7, name="fallback", scope=[["task", "fall_back", 0]]),
        step("d", 9, "failed", name="finish", scope=[["thread", "finish", 0]]),
    )

    assert policies(found)["a"] == ("raise", "failed_handled")
    assert policies(found)["b"] == ("hang", "cancelled_handled")


def test_a_failure_is_not_handled_by_a_task_that_was_at_work_before() -> None:
    found = bundles(
        run(),
        step("before", 1, name="watch", scope=[["task", "watch", 0]]),
        step("a", 3, "failed", name="primary"),
        step("after", 5, name="watch", occurrence=1, scope=[["task", "watch", 0]]),
    )

    assert policies(found)["a"] == ("live", "failed_open")


def test_a_failure_caught_and_raised_again_at_the_end_runs_live() -> None:
    found = bundles(run(**{semconv.RUN_FAILED_STEP_KEY: "a"}), step("a", 1, "failed"), step("b", 3, name="log"))

    assert policies(found)["a"] == ("live", "failed_terminal")


def test_three_tries_of_a_users_own_loop_are_all_live_again() -> None:
    tries = [step(f"t{n}", 1 + 2 * n, "failed", occurrence=n) for n in range(3)]

    found = bundles(run(**{semconv.RUN_FAILED_STEP_KEY: "t2"}), *tries)

    assert set(policies(found).values()) == {("live", "failed_terminal")}


def test_a_success_between_two_failures_ends_the_row_of_tries() -> None:
    found = bundles(
        run(**{semconv.RUN_FAILED_STEP_KEY: "t2"}),
        step("t0", 1, "failed", occurrence=0),
        step("t1", 3, occurrence=1),
        step("t2", 5, "failed", occurrence=2),
    )

    assert policies(found)["t0"] == ("raise", "failed_handled")


def test_what_a_dead_process_left_runs_again_and_its_unsafe_step_is_refused() -> None:
    killed = replace(run("running"), is_pending=True)
    killed.attributes[semconv.PENDING_KIND] = "run"
    found = bundles(
        killed,
        step("done", 1, result=1),
        step("cut", 3, "incomplete"),
        step("paid", 4, "incomplete", **{semconv.STEP_SIDE_EFFECT: "unsafe"}),
    )

    assert policies(found) == {
        "done": ("cached", "completed"),
        "cut": ("live", "incomplete"),
        "paid": ("refuse", "unknown_outcome"),
    }
    assert found.run.status == "incomplete"
    assert found.completeness["pending"] == [f"{n:016x}" for n in (1, 1003, 1004)]


def test_a_cancelled_loser_hangs_and_fallout_of_the_failure_runs_again() -> None:
    found = bundles(
        run(**{semconv.RUN_FAILED_STEP_KEY: "last"}),
        step("loser", 1, "cancelled", scope=[["task", "race", 0]]),
        step("after", 5, name="use"),
        step("fallout", 6, "cancelled", scope=[["task", "race", 1]], seq_end=9),
        step("last", 7, "failed", name="finish"),
    )

    assert policies(found)["loser"] == ("hang", "cancelled_handled")
    assert policies(found)["fallout"] == ("live", "cancelled_fallout")


def test_a_step_around_the_failure_is_entered_and_its_finished_parts_are_cached() -> None:
    found = bundles(
        run(**{semconv.RUN_FAILED_STEP_KEY: "inner2"}),
        step("outer", 1, "failed", name="outer", seq_end=9),
        step("inner1", 2, name="inner", scope=[["step", "outer"]], result=1),
        step("inner2", 4, "failed", name="inner", scope=[["step", "outer"]]),
    )

    assert {key: policy for key, (policy, _) in policies(found).items()} == {
        "outer": "enter",
        "inner1": "cached",
        "inner2": "live",
    }


def test_a_completed_run_answers_everything_from_the_record() -> None:
    found = bundles(run("completed"), step("a", 1, "failed"), step("b", 3, "cancelled"), step("c", 5, result=3))

    assert {key: policy for key, (policy, _) in policies(found).items()} == {"a": "raise", "b": "hang", "c": "cached"}


def test_a_result_whose_digest_does_not_fit_is_never_handed_out() -> None:
    cut = step("a", 1, result="a long answer")
    cut.attributes[semconv.STEP_RESULT] = '"a long'

    found = bundles(run(), cut)

    assert policies(found)["a"] == ("refuse", "digest_mismatch")
    assert only(found, "a").result is None
    assert found.completeness["unreplayable"] == [{"step_key": "a", "reason": "digest_mismatch", "detail": "search"}]


@pytest.mark.parametrize(
    ("at", "live"), [("end", []), ("before:b", ["b"]), ("after:a", ["b", "c"]), ("seq:3", ["c"]), ("seq:1", ["b", "c"])]
)
def test_at_says_which_completed_steps_run_live(at: str, live: list[str]) -> None:
    found = bundles(run("completed"), *(step(key, 1 + 2 * n, name=key) for n, key in enumerate("abc")), at=at)

    assert [key for key, (policy, _) in policies(found).items() if policy == "live"] == live
