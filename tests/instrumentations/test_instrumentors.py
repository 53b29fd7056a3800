"""What public instrumentors say comes out in our words, each call counted once, at the price it has.

programs/ → real exporters → real server → GET /api/v1/runs, /api/v1/traces/{trace_id} → expected/

A program runs as its own process, because instrumentors change the libraries they instrument for good. What must come
out is in expected/, a file a program: totals, what was said, and a table of the columns.
"""

import json
from collections.abc import Callable

import pytest
from genai_prices import Usage, calc_price

from tests.instrumentations.running import Body, Performed, fetch
from tests.instrumentations.tables import all_expected, expected_of, table_of, totals_of
from tests.serving import RunningServer
from tests.waiting import until

Run = Callable[[str], Performed]

MODEL_CALLS = {"llm", "embedding"}
PRICE_SECONDS = 45  # a model that is met for the first time is looked up in the background

TOLD_IN_TWO = "Logfire tells of a stream in a span without usage and in a record of later, with no id that both have"

scenarios = pytest.mark.parametrize(("program", "scenario"), all_expected())
countable = pytest.mark.parametrize(
    ("program", "scenario"),
    [
        pytest.param(*each, marks=pytest.mark.xfail(strict=True, reason=TOLD_IN_TWO))
        if each == ("logfire_itself", "chat_streamed")
        else each
        for each in all_expected()
    ],
)


@scenarios
def test_every_span_has_its_place_and_these_columns(program: str, scenario: str, performed: Run) -> None:
    spans = performed(program).scenarios[scenario].trace["spans"]

    assert table_of(spans) == expected_of(program)[scenario].table
    assert [span["name"] for span in spans if span["status"]["code"] == "error" or span["error_type"]] == []


@countable
def test_a_run_counts_each_call_once(program: str, scenario: str, performed: Run) -> None:
    run = performed(program).scenarios[scenario].run

    assert totals_of(run) == expected_of(program)[scenario].totals
    assert run["status"] == "completed"


@pytest.mark.parametrize("program", sorted({program for program, _ in all_expected()}))
def test_as_many_calls_are_expected_as_the_provider_was_asked(program: str, performed: Run) -> None:
    done, expected = performed(program), expected_of(program)

    assert list(done.scenarios) == list(expected)
    assert sum(int(each.totals.split(" ")[0]) for each in expected.values()) == done.requests


@countable
def test_a_call_costs_what_genai_prices_says_and_a_run_its_calls(
    program: str, scenario: str, performed: Run, server: RunningServer
) -> None:
    run_id = performed(program).scenarios[scenario].run["run_id"]

    def calls() -> list[Body]:
        spans = fetch(server, f"/api/v1/traces/{run_id}")["spans"]
        return [span for span in spans if span["step_kind"] in MODEL_CALLS and span["input_tokens"] is not None]

    until(lambda: all(call["cost_usd"] is not None for call in calls()), PRICE_SECONDS)
    assert [call["cost_usd"] for call in calls()] == pytest.approx([price_of(call) for call in calls()], abs=1e-9)
    run = fetch(server, f"/api/v1/runs/{run_id}")
    if calls():
        assert run["cost_usd"] in [pytest.approx(run["llm_calls"] * call["cost_usd"], abs=1e-9) for call in calls()]
        assert run["unpriced_calls"] == 0
    else:
        assert (run["cost_usd"], run["unpriced_calls"]) == (None, run["llm_calls"])


def price_of(span: Body) -> float:
    usage = Usage(
        input_tokens=span["input_tokens"],
        output_tokens=span["output_tokens"] or 0,
        cache_read_tokens=span["cache_read_input_tokens"] or 0,
        cache_write_tokens=span["cache_write_input_tokens"] or 0,
    )
    model = span["response_model"] or span["request_model"]
    return float(calc_price(usage, model_ref=model, provider_id=span["provider_name"] or None).total_price)


@scenarios
def test_what_was_said_is_in_the_trace(program: str, scenario: str, performed: Run) -> None:
    trace = json.dumps(performed(program).scenarios[scenario].trace)

    assert [text for text in expected_of(program)[scenario].said if text not in trace] == []
