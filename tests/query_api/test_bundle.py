"""The pages of a replay bundle, over all generations of a run, and the endpoint that hands them out."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backtrail import semconv
from backtrail._replay.bundle import parse_page
from backtrail_query import bundle
from backtrail_query.bundle import Wish
from backtrail_query.errors import BadParameter, QueryError
from backtrail_store.rows import SpanRow
from tests.conftest import Insert
from tests.factories import TRACE_ID, plain_span, run_span, step_span
from tests.query_api.replayable import OLDER, RUN, bundles, only, policies, run, step
from tests.query_api.spans import span


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


def test_a_dict_comes_back_with_its_keys_in_their_order() -> None:
    found = bundles(run(), step("a", 1, text='{"role":"user","content":{"z":1,"a":2}}'))

    assert json.dumps(only(found, "a").result) == '{"role": "user", "content": {"z": 1, "a": 2}}'


def test_a_cost_is_in_the_bundle_as_the_number_it_is() -> None:
    found = bundles(run(), replace(step("a", 1, result="kept"), cost_usd=Decimal("0.000000290000")))

    assert (only(found, "a").result, only(found, "a").cost_usd) == ("kept", 0.00000029)


def test_the_initial_state_is_whole_when_its_snapshot_was_cut_into_parts() -> None:
    def part(number: int, values: str) -> SpanRow:
        attributes = {semconv.CHECKPOINT_VALUES: values, semconv.CHECKPOINT_PART: number, semconv.CHECKPOINT_PARTS: 2}
        return span(f"{number:016x}", kind="checkpoint", attributes={semconv.CHECKPOINT_SEQ: 0, **attributes})

    found = bundles(run(), part(2, '{"run":{"a":1}}'), part(3, '{"run":{"b":2},"agent":{"c":3}}'))

    assert found.run.initial_state == {"run": {"a": 1, "b": 2}, "agent": {"c": 3}}


@pytest.mark.parametrize(("mode", "words"), [("fork", "'fork' is not available; there is 'resume'"), ("", "''")])
def test_an_unknown_mode_names_the_modes_there_are(mode: str, words: str) -> None:
    with pytest.raises(BadParameter, match=words):
        Wish.of(mode, None)


@pytest.mark.parametrize("at", ["yesterday", "before:nothing", "seq:-1", "checkpoint:none", "failure:x"])
def test_an_unknown_point_is_refused(at: str) -> None:
    with pytest.raises(QueryError):
        bundles(run(), step("a", 1), at=at)


def test_the_endpoint_answers_with_a_bundle_or_with_what_is_wrong(api: TestClient, insert: Insert) -> None:
    insert(run_span(name="handle"), step_span("search", number=2))
    insert(plain_span("anybody's", trace_id=b"\x07" * 16))
    recorded, foreign = TRACE_ID.hex(), "07" * 16

    def ask(run_id: str, **wish: Any) -> Any:
        return api.post(f"/api/v1/runs/{run_id}/replay-bundle", json=wish)

    found = parse_page(ask(recorded).content)
    assert ((found.run.run_id, found.run.name), [one.name for one in found.steps]) == (
        (recorded, "handle"),
        ["search"],
    )
    refusals = [ask("9" * 32), ask(foreign), ask(recorded, mode="dry"), ask(recorded, at="now"), ask(recorded, a=1)]
    assert [answer.status_code for answer in refusals] == [404, 409, 400, 400, 422]
    assert {answer.headers["content-type"] for answer in refusals} == {"application/problem+json"}
