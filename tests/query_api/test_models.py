"""GET /api/v1/models: what a project's models used and cost, and which of them wait for a price."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backtrail import semconv
from backtrail_query.model_views import EXAMPLE, ModelList, ModelView
from backtrail_store import PriceRule, Prices, Store, Tier
from tests.conftest import Insert
from tests.factories import SECOND, START, Value, plain_span, span_id

MILLION = 1_000_000


def call(provider: str, model: str, **usage: Value) -> dict[str, Value]:
    return {
        semconv.GEN_AI_OPERATION_NAME: "chat",
        semconv.GEN_AI_PROVIDER_NAME: provider,
        semconv.GEN_AI_REQUEST_MODEL: model,
        **{f"gen_ai.usage.{name}": value for name, value in usage.items()},
    }


def models(api: TestClient, **params: str) -> list[dict[str, Any]]:
    answer = api.get("/api/v1/models", params=params)
    assert answer.status_code == 200, answer.text
    ModelList.model_validate(answer.json())
    found: list[dict[str, Any]] = answer.json()["models"]
    return found


def test_models_are_listed_by_what_waits_for_a_price_and_then_by_cost(api: TestClient, insert: Insert) -> None:
    calls = [
        call("openai", "gpt-4o-mini", input_tokens=1000, output_tokens=10),
        call("openai", "gpt-4o-mini", input_tokens=1000),
        call("openai", "gpt-4o-mini"),
        call("openai", "gpt-4o", input_tokens=MILLION, output_tokens=0),
        call("home", "lama-of-mine", input_tokens=5, output_tokens=7),
    ]
    insert(*(plain_span(id_=span_id(number), attributes=each) for number, each in enumerate(calls, 1)))

    found = models(api)

    shown = [(each["provider"], each["model"], each["span_count"], each["usage_count"]) for each in found]
    assert shown == [("home", "lama-of-mine", 1, 1), ("openai", "gpt-4o", 1, 1), ("openai", "gpt-4o-mini", 3, 2)]
    assert [each["waiting_count"] for each in found] == [1, 0, 0]
    assert [each["cost_usd"] for each in found] == [None, 2.5, 0.000306]
    assert (found[2]["input_tokens"], found[2]["output_tokens"]) == (2000, 10)
    assert found[0]["price"] is None
    assert (found[2]["price"]["source"], found[2]["price"]["input"], found[2]["price"]["tiers"]) == (
        "genai-prices",
        0.15,
        [],
    )


def test_usage_of_a_model_without_a_name_waits_under_its_provider(api: TestClient, insert: Insert) -> None:
    insert(plain_span(attributes=call("home", "", input_tokens=5, output_tokens=7)))

    [found] = models(api)

    assert (found["provider"], found["model"], found["waiting_count"], found["price"]) == ("home", None, 1, None)


def test_a_price_that_a_user_gives_ends_the_waiting(api: TestClient, insert: Insert, store: Store) -> None:
    insert(plain_span(attributes=call("home", "lama-of-mine", input_tokens=MILLION, output_tokens=0)))
    tier = Tier(above=1000, prices=Prices(input=Decimal("0.5")))
    prices = Prices(input=Decimal(1), output=Decimal(2), reasoning=Decimal(3), request=Decimal("0.01"))
    store.prices.put([PriceRule(model="lama*", valid_from=date(2026, 1, 1), prices=prices, tiers=(tier,))])

    [found] = models(api)

    assert (found["cost_usd"], found["waiting_count"]) == (0.51, 0)
    assert found["price"] == {
        "source": "user",
        "origin": "lama*",
        "valid_from": "2026-01-01",
        "input": 1,
        "output": 2,
        "cache_read": 1,
        "cache_write": 1,
        "reasoning": 3,
        "input_audio": 1,
        "output_audio": 2,
        "request": 0.01,
        "tiers": [
            {
                "above": 1000,
                "input": 0.5,
                "output": 2,
                "cache_read": 0.5,
                "cache_write": 0.5,
                "reasoning": 3,
                "input_audio": 0.5,
                "output_audio": 2,
            }
        ],
    }


def test_a_call_that_two_spans_tell_of_counts_once(api: TestClient, insert: Insert) -> None:
    attributes = call("openai", "gpt-4o", input_tokens=MILLION, output_tokens=0)
    agent = attributes | {semconv.GEN_AI_OPERATION_NAME: "invoke_agent"}
    insert(
        plain_span(attributes=agent, id_=span_id(1)),
        plain_span(attributes=attributes, id_=span_id(2), parent_id=span_id(1)),
        plain_span(attributes=attributes, id_=span_id(3), parent_id=span_id(2)),
    )

    [found] = models(api)

    assert (found["span_count"], found["cost_usd"]) == (1, 2.5)


def test_models_are_of_their_project_and_of_the_time_that_is_asked_for(api: TestClient, insert: Insert) -> None:
    insert(plain_span(attributes=call("openai", "gpt-4o", input_tokens=1)), project="other")
    insert(plain_span(attributes=call("openai", "gpt-4o-mini", input_tokens=1)))

    assert [each["model"] for each in models(api)] == ["gpt-4o-mini"]
    assert models(api, start=str(START + SECOND)) == []
    assert len(models(api, start=str(START), end=str(START + SECOND))) == 1


def test_the_example_is_an_answer() -> None:
    ModelView.model_validate(EXAMPLE)


@pytest.mark.parametrize("reported", [None, 0.5])
def test_a_span_says_what_each_part_of_it_cost(
    api: TestClient, insert: Insert, store: Store, reported: float | None
) -> None:
    attributes = call(
        "home",
        "parted",
        **{
            "input_tokens": 1000,
            "cache_read.input_tokens": 300,
            "cache_creation.input_tokens": 200,
            "output_tokens": 100,
            "reasoning.output_tokens": 40,
        },
    )
    insert(plain_span(attributes=attributes | ({} if reported is None else {"gen_ai.usage.cost": reported})))
    one = Prices(
        **{
            part: Decimal(usd)
            for part, usd in zip(
                ("input", "output", "cache_read", "cache_write", "request"), (3, 15, 1, 4, 1), strict=True
            )
        }
    )
    store.prices.put([PriceRule(model="parted", prices=one)])

    [span] = api.get("/api/v1/traces/5b8efff798038103d269b633813fc60c").json()["spans"]

    parts = {
        "input": 0.0015,
        "cache_read": 0.0003,
        "cache_write": 0.0008,
        "output": 0.0009,
        "reasoning": 0.0006,
        "request": 1,
    }
    if reported is None:
        assert span["cost"] == parts | {"total": 1.0041, "computed": 1.0041, "source": "user"}
        assert sum(Decimal(str(part)) for part in parts.values()) == Decimal(str(span["cost"]["total"]))
    else:
        assert span["cost"] == dict.fromkeys(parts) | {"total": 0.5, "computed": 1.0041, "source": "reported"}
    assert span["cost_usd"] == span["cost"]["total"]


def test_a_span_whose_price_nobody_knows_has_no_parts_either(api: TestClient, insert: Insert) -> None:
    insert(plain_span(attributes=call("home", "nobody-knows", input_tokens=5)))

    [span] = api.get("/api/v1/traces/5b8efff798038103d269b633813fc60c").json()["spans"]

    assert set(span["cost"].values()) == {None}
    assert span["cost_usd"] is None
