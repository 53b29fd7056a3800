"""What the server judges of a recorded run, and the pages it hands out; the client's own reader reads them back."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from backtrail import semconv
from backtrail._bundle import Bundle, StepRecord, join_pages, parse_page
from backtrail.canonical import canonical_text
from backtrail_query import bundle
from backtrail_query.bundle import Wish, build_page
from backtrail_query.errors import BadParameter, QueryError
from backtrail_query.lineage import load_lineage
from backtrail_store.rows import SpanRow

RUN, OLDER = "1" * 32, "2" * 32
NOW = 100 * 10**9


def span(kind: str, number: int, attributes: dict[str, Any], **changes: Any) -> SpanRow:
    row = SpanRow(
        trace_id=RUN,
        span_id=f"{number:016x}",
        parent_span_id="",
        name=kind,
        kind="internal",
        status_code="unset",
        status_message="",
        start_time_unix_nano=number,
        duration_ns=1,
        is_pending=False,
        service_name="support",
        scope_name="backtrail",
        scope_version="0",
        trace_state="",
        flags=1,
        backtrail_kind=kind,
        step_kind="",
        operation_name="",
        agent_name="support",
        agent_key="agent",
        tool_name="",
        query="",
        task_id="",
        parent_task_id="",
        task_chain=[],
        depth=0,
        retry_count=0,
        conversation_id="",
        user_id="",
        environment="",
        provider_name="",
        request_model="",
        response_model="",
        input_tokens=None,
        output_tokens=None,
        cache_read_input_tokens=None,
        cache_write_input_tokens=None,
        reasoning_output_tokens=None,
        reported_cost_usd=None,
        cost_usd=None,
        error_type="",
        step_key="",
        seq=0,
        replayed=False,
        attributes=attributes,
        resource={"service.version": "1.4.2"},
        events=[],
        links=[],
    )
    return replace(row, **changes)


def run(status: Any = "failed", **attributes: Any) -> SpanRow:
    recorded = {semconv.RUN_STATUS: status, semconv.RUN_NAME: "handle", semconv.RUN_INPUT: '{"q":"hi"}'}
    return span("run", 1, {**recorded, **attributes}, status_code="error" if status == "failed" else "ok")


def step(key: str, seq: int, status: str = "completed", *, scope: Any = (), result: Any = None, **more: Any) -> SpanRow:
    text = canonical_text(result)
    attributes = {
        semconv.STEP_NAME: more.pop("name", "search"),
        semconv.STEP_STATUS: status,
        semconv.STEP_SCOPE: canonical_text(scope),
        semconv.STEP_SEQ_START: seq,
        semconv.STEP_SEQ_END: more.pop("seq_end", seq + 1),
        semconv.STEP_END_BATCH: seq,
        semconv.STEP_OCCURRENCE: more.pop("occurrence", 0),
        semconv.STEP_INPUT_HASH: more.pop("input_hash", "same"),
        semconv.STEP_LOOSE_KEY: "loose",
        semconv.STEP_INPUT: '{"q":"hi"}',
    }
    if status == "completed":
        attributes[semconv.STEP_RESULT] = text
        digest = [len(text.encode()), sha256(text.encode()).hexdigest()]
        attributes[semconv.DIGESTS] = canonical_text({semconv.STEP_RESULT: digest})
    elif status == "failed":
        attributes[semconv.STEP_ERROR] = '{"type":"ValueError","module":"builtins","message":"no"}'
    is_pending = status == "incomplete"
    replayed = more.pop("replayed", False)
    return span(
        "pending" if is_pending else "step",
        seq + 1000,
        {**attributes, semconv.PENDING_KIND: "step", **more},
        step_key=key,
        seq=seq,
        is_pending=is_pending,
        replayed=replayed,
    )


def bundles(*spans: SpanRow, at: str = "failure", others: dict[str, Sequence[SpanRow]] | None = None) -> Bundle:
    traces = {RUN: spans, **(others or {})}
    lineage = load_lineage(lambda run_id: traces.get(run_id, ()), RUN, spans)
    assert lineage is not None
    wish = Wish.of("resume", at)
    pages = [parse_page(build_page(lineage, wish, now_unix_nano=NOW, cursor=None).encode())]
    while pages[-1].page.next is not None:
        body = build_page(lineage, wish, now_unix_nano=NOW, cursor=pages[-1].page.next)
        pages.append(parse_page(body.encode()))
    return join_pages(pages)


def policies(found: Bundle) -> dict[str, tuple[str, str]]:
    return {one.step_key: (one.replay_policy, one.policy_reason) for one in found.steps}


def only(found: Bundle, key: str) -> StepRecord:
    return next(one for one in found.steps if one.step_key == key)


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
    killed = replace(run("running"), backtrail_kind="pending", is_pending=True)
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


def test_a_resumed_run_is_resumed_with_the_answers_of_the_first() -> None:
    first = (
        run(**{semconv.RUN_FAILED_STEP_KEY: "b"}),
        step("a", 1, result="from the first"),
        step("b", 3, "failed", name="b"),
        step("elsewhere", 5, result="not reached again", scope=[["task", "x", 0]]),
    )
    served = step("a", 2, replayed=True, **{semconv.STEP_SOURCE: f"{OLDER}/{first[1].span_id}"})
    del served.attributes[semconv.STEP_RESULT], served.attributes[semconv.STEP_INPUT]
    second = (
        run(**{semconv.RUN_FAILED_STEP_KEY: "c", semconv.REPLAY_OF: OLDER, semconv.REPLAY_GENERATION: 1}),
        served,
        step("b", 4, result="from the second", name="b"),
        step("c", 6, "failed", name="c"),
    )

    found = bundles(*second, others={OLDER: first})

    assert [(one.step_key, one.result, one.source and one.source.run_id, one.generation) for one in found.steps] == [
        ("a", "from the first", OLDER, 1),
        ("b", "from the second", RUN, 1),
        ("c", None, RUN, 1),
        ("elsewhere", "not reached again", OLDER, 0),
    ]
    assert [entry.run_id for entry in found.lineage] == [RUN, OLDER]


def test_an_answer_whose_source_was_deleted_is_refused() -> None:
    served = step("a", 2, replayed=True, **{semconv.STEP_SOURCE: f"{OLDER}/{5:016x}"})

    found = bundles(run(**{semconv.REPLAY_OF: OLDER, semconv.REPLAY_GENERATION: 1}), served)

    assert policies(found)["a"] == ("refuse", "source_missing")
    assert found.completeness["missing_runs"] == [OLDER]
    assert found.completeness["complete"] is False


def test_an_end_known_from_the_first_run_outlives_a_second_that_was_cut_off() -> None:
    first = (run(), step("a", 1, result="kept"))
    second = (run(**{semconv.REPLAY_OF: OLDER, semconv.REPLAY_GENERATION: 1}), step("a", 1, "incomplete"))

    found = bundles(*second, others={OLDER: first})

    assert (only(found, "a").result, only(found, "a").generation) == ("kept", 0)


def test_pages_are_cut_by_size_and_joined_to_the_same_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = [run(), *(step(f"k{n}", 1 + 2 * n, result="x" * 500) for n in range(10))]
    whole = bundles(*spans)
    monkeypatch.setattr(bundle, "PAGE_BYTES", 4000)

    in_pages = bundles(*spans)

    assert in_pages.steps == whole.steps
    assert len(whole.steps) == 10


@pytest.mark.parametrize(("mode", "words"), [("fork", "'fork' is not available; there is 'resume'"), ("", "''")])
def test_an_unknown_mode_names_the_modes_there_are(mode: str, words: str) -> None:
    with pytest.raises(BadParameter, match=words):
        Wish.of(mode, None)


@pytest.mark.parametrize("at", ["yesterday", "before:nothing", "seq:-1", "checkpoint:none", "failure:x"])
def test_an_unknown_point_is_refused(at: str) -> None:
    with pytest.raises(QueryError):
        bundles(run(), step("a", 1), at=at)
