"""A call that is told twice side by side is found to be one, and calls that look alike are not taken for each other."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrail_store.call_spans import CallSpan
from backtrail_store.model_calls import Counting, count_once

FRAMEWORK, CLIENT, PROXY = "openinference.instrumentation.langchain", "opentelemetry.instrumentation.openai", "litellm"
UNIQUE = "chatcmpl-CGrYsmKb2dUHTxEq9ohX7mTqEVGAB"
OF_OLLAMA = "chatcmpl-417"


def call(span_id: str, scope: str = FRAMEWORK, **changes: Any) -> CallSpan[str]:
    told = CallSpan(
        span_id,
        is_call=True,
        has_usage=True,
        input_tokens=100,
        output_tokens=20,
        start_unix_nano=1_000,
        duration_ns=1_000,
        scope_name=scope,
        request_model="gpt-4o",
    )
    told = told._replace(**changes)
    return told._replace(has_usage=told.input_tokens is not None or told.output_tokens is not None)


def count(*calls: CallSpan[str], parents: dict[str, str] | None = None) -> Counting[str]:
    return count_once(calls, {call.span_id: "root" for call in calls} | (parents or {}))


SILENT: dict[str, Any] = {"input_tokens": None, "output_tokens": None}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"start_unix_nano": 1_100, "duration_ns": 800},
        {"start_unix_nano": 900, "duration_ns": 1_200},
        {"start_unix_nano": 1_050, "duration_ns": 1_000},
        SILENT,
        {"output_tokens": None},
        {"request_model": "", "response_model": "gpt-4o-2024-08-06"},
        {"request_model": "openai/gpt-4o"},
    ],
)
def test_two_instrumentations_side_by_side_tell_one_call(changes: dict[str, Any]) -> None:
    counting = count(call("chain"), call("http", CLIENT, **changes))

    assert len(counting.counted) == len(counting.same_as) == 1
    assert {*counting.counted, *counting.same_as} == {"chain", "http"}


@pytest.mark.parametrize(
    "changes",
    [
        {"scope_name": FRAMEWORK},
        {"start_unix_nano": 2_000},
        {"start_unix_nano": 1_500},
        {"input_tokens": 101},
        {"request_model": "gpt-4o-mini"},
        {"request_model": ""},
    ],
)
def test_calls_of_one_instrumentation_or_of_different_time_usage_or_model_are_two(changes: dict[str, Any]) -> None:
    assert count(call("one"), call("two", **({"scope_name": CLIENT} | changes))).counted == {"one", "two"}


def test_calls_of_different_parents_are_two() -> None:
    assert (
        count(call("one"), call("two", CLIENT), parents={"one": "a", "two": "b", "a": "root", "b": "root"}).same_as
        == {}
    )


def test_a_client_that_hangs_its_span_above_the_frameworks_tells_the_same_call() -> None:
    parents = {"graph": "root", "node": "graph", "chain": "node", "http": "root"}

    counting = count(call("chain"), call("http", CLIENT), parents=parents)

    assert (counting.counted, counting.same_as) == ({"chain"}, {"http": "chain"})


def test_who_knows_more_speaks_for_the_call() -> None:
    assert count(call("silent", **SILENT), call("known", CLIENT)).same_as == {"silent": "known"}
    assert count(call("unpriced"), call("priced", CLIENT, cost_usd=0.1)).same_as == {"unpriced": "priced"}


def test_three_equal_calls_at_once_told_by_two_are_three() -> None:
    ours = [call(f"chain {n}", start_unix_nano=1_000 + n) for n in range(3)]
    theirs = [call(f"http {n}", CLIENT, start_unix_nano=1_000 + n, duration_ns=900) for n in range(3)]

    counting = count(*ours, *theirs)

    assert (len(counting.counted), len(counting.same_as)) == (3, 3)


def test_an_instrumentation_that_lies_around_one_of_two_calls_tells_of_both() -> None:
    spans = [call("chain 1"), call("http 1", CLIENT), call("chain 2")]

    counting = count(*spans, parents={"http 1": "chain 1"})

    assert (counting.counted, counting.same_as) == ({"http 1", "chain 2"}, {"chain 1": "http 1"})


def test_a_call_more_of_one_than_of_the_other_is_a_call() -> None:
    counting = count(call("chain 1"), call("chain 2"), call("http", CLIENT))

    assert (len(counting.counted), len(counting.same_as)) == (2, 1)


def test_three_instrumentations_side_by_side_tell_one_call() -> None:
    counting = count(call("chain"), call("http", CLIENT, **SILENT), call("proxy", PROXY, output_tokens=None))

    assert counting.same_as == {"http": "chain", "proxy": "chain"}


def test_what_lies_in_a_call_told_side_by_side_belongs_to_it() -> None:
    spans = [call("outer", PROXY), call("inner"), call("http", CLIENT)]

    counting = count(*spans, parents={"inner": "outer"})

    assert len(counting.counted) == 1
    assert counting.same_as.keys() | counting.counted == {"outer", "inner", "http"}


@pytest.mark.parametrize(
    "changes",
    [
        {"start_unix_nano": 90_000},
        {"scope_name": FRAMEWORK, "start_unix_nano": 90_000, **SILENT},
        {"request_model": "another", "output_tokens": 21},
    ],
)
def test_one_responses_id_is_one_call_wherever_it_is_told(changes: dict[str, Any]) -> None:
    one, two = call("one", response_id=UNIQUE), call("two", CLIENT, response_id=UNIQUE)._replace(**changes)

    assert len(count(one, two, parents={"one": "a", "two": "b"}).counted) == 1


def test_a_call_keeps_the_id_that_one_of_its_spans_told() -> None:
    spans = [call("one", response_id=UNIQUE, **SILENT), call("two", CLIENT)]
    later = call("later", PROXY, start_unix_nano=90_000, response_id=UNIQUE)
    another = call("another", PROXY, response_id=f"{UNIQUE}2")

    assert len(count(*spans, later).counted) == 1
    assert count(*spans, another).counted == {"two", "another"}


def test_different_ids_are_different_calls_however_alike() -> None:
    assert count(call("one", response_id=UNIQUE), call("two", CLIENT, response_id=UNIQUE[:-1] + "C")).same_as == {}


def test_an_id_that_is_drawn_from_few_proves_nothing_alone() -> None:
    first = call("one", response_id=OF_OLLAMA)

    assert count(first, call("two", start_unix_nano=90_000, response_id=OF_OLLAMA)).same_as == {}
    assert count(first, call("two", CLIENT, input_tokens=101, response_id=OF_OLLAMA)).same_as == {}
    assert count(first, call("two", CLIENT, response_id=OF_OLLAMA), parents={"two": "elsewhere"}).same_as != {}


def test_a_streams_last_count_speaks_and_not_its_first() -> None:
    first, last = call("first", response_id=UNIQUE, output_tokens=1), call("last", response_id=UNIQUE)

    assert count(first, last).same_as == {"first": "last"}


def test_a_response_served_from_the_record_tells_of_no_call_again() -> None:
    counting = count(call("step", response_id=UNIQUE, is_served=True), call("asked", response_id=UNIQUE))

    assert (counting.counted, counting.same_as) == ({"asked"}, {})


def test_the_same_call_told_a_thousand_times_is_found_at_once() -> None:
    spans = [call(f"{n}", start_unix_nano=n * 5_000, response_id=UNIQUE) for n in range(1_000)]

    assert len(count(*spans).counted) == 1


@st.composite
def told_calls(draw: st.DrawFn) -> tuple[int, list[CallSpan[str]], dict[str, str]]:
    """How many calls were made, and what up to three instrumentations tell of each: around, beside or above another."""
    scopes = draw(st.permutations([FRAMEWORK, CLIENT, PROXY]))[: draw(st.integers(1, 3))]
    places = {scope: draw(st.sampled_from(["agent", "root", *scopes[:n]])) for n, scope in enumerate(scopes)}
    speaking = {scopes[0], *draw(st.sets(st.sampled_from(scopes)))}
    is_parallel, has_ids = draw(st.booleans()), draw(st.booleans())
    spans: list[CallSpan[str]] = []
    parents = {"agent": "root"}
    calls = draw(st.integers(0, 6))
    for n in range(calls):
        for layer, (scope, place) in enumerate(places.items()):
            span = call(
                f"{n} {scope}",
                scope,
                start_unix_nano=layer + (1_000 if is_parallel else 2_000 * n),
                duration_ns=1_000 - 2 * layer,
                response_id=f"{UNIQUE}{n}" if has_ids else "",
                **({} if scope in speaking else SILENT),
            )
            spans.append(span)
            parents[span.span_id] = f"{n} {place}" if place in scopes else place
    return calls, draw(st.permutations(spans)), parents


@settings(max_examples=300)
@given(told=told_calls())
def test_however_calls_are_told_there_are_as_many_as_were_made(
    told: tuple[int, list[CallSpan[str]], dict[str, str]],
) -> None:
    calls, spans, parents = told

    counting = count_once(spans, parents)

    counted = [span for span in spans if span.span_id in counting.counted]
    assert [span.input_tokens for span in counted] == [100] * calls
    assert len(spans) == len(counted) + len(counting.same_as)
