"""What a model call cost, on the day it was made."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from backtrail import semconv
from backtrail_store import PriceRule, Prices, Store, Tier
from tests.conftest import Insert
from tests.factories import SECOND, TRACE_ID, Value, plain_span

MILLION = 1_000_000


def call(provider: str, model: str, **usage: Value) -> dict[str, Value]:
    return {
        semconv.GEN_AI_OPERATION_NAME: "chat",
        semconv.GEN_AI_PROVIDER_NAME: provider,
        semconv.GEN_AI_REQUEST_MODEL: model,
        **{f"gen_ai.usage.{name}": value for name, value in usage.items()},
    }


def cost(
    insert: Insert,
    store: Store,
    attributes: dict[str, Value],
    *,
    at: datetime = datetime(2026, 9, 1, tzinfo=UTC),
    project: str = "default",
) -> Decimal | None:
    insert(plain_span(attributes=attributes, start=int(at.timestamp()) * SECOND), project=project)
    [span] = store.reader.get_trace(project, TRACE_ID.hex())
    return span.cost_usd


def cost_now(store: Store, project: str = "default") -> Decimal | None:
    [span] = store.reader.get_trace(project, TRACE_ID.hex())
    return span.cost_usd


def rule(
    model: str,
    input_: str,
    output: str = "0",
    *,
    provider: str = "",
    project: str = "",
    valid_from: date = date(1970, 1, 1),
    tiers: Sequence[Tier] = (),
    **prices: str,
) -> PriceRule:
    return PriceRule(
        project=project,
        provider=provider,
        model=model,
        valid_from=valid_from,
        prices=Prices(
            input=Decimal(input_), output=Decimal(output), **{part: Decimal(price) for part, price in prices.items()}
        ),
        tiers=tuple(tiers),
    )


def test_a_known_model_is_priced_from_its_tokens(insert: Insert, store: Store) -> None:
    usage: dict[str, Value] = {"input_tokens": MILLION, "output_tokens": MILLION}

    assert cost(insert, store, call("openai", "gpt-4o-mini", **usage)) == Decimal("0.75")


def test_cached_tokens_are_part_of_the_input_and_cheaper(insert: Insert, store: Store) -> None:
    usage: dict[str, Value] = {"input_tokens": MILLION, "cache_read.input_tokens": MILLION // 2, "output_tokens": 0}

    assert cost(insert, store, call("openai", "gpt-4o-mini", **usage)) == Decimal("0.1125")


def test_a_model_nobody_knows_has_no_price_rather_than_none_to_pay(insert: Insert, store: Store) -> None:
    assert cost(insert, store, call("openai", "gpt-from-the-future", input_tokens=MILLION)) is None


def test_a_call_without_usage_has_no_cost(insert: Insert, store: Store) -> None:
    assert cost(insert, store, call("openai", "gpt-4o-mini")) is None


def test_usage_of_a_model_without_a_name_has_no_price(insert: Insert, store: Store) -> None:
    store.prices.put([rule("*", "1")])

    assert cost(insert, store, call("openai", "", input_tokens=MILLION)) is None


def test_a_reported_cost_stands_as_it_was_written(insert: Insert, store: Store) -> None:
    assert cost(insert, store, call("openai", "gpt-4o-mini", input_tokens=MILLION, cost=0.29)) == Decimal("0.29")


@pytest.mark.parametrize("reported", [float("nan"), float("inf"), 1e300])
def test_what_is_no_amount_of_money_is_not_taken_for_a_cost(insert: Insert, store: Store, reported: float) -> None:
    usage = call("openai", "gpt-4o-mini", input_tokens=MILLION, output_tokens=0, cost=reported)

    assert cost(insert, store, usage) == Decimal("0.15")


def test_the_price_is_that_of_the_day(insert: Insert, store: Store) -> None:
    usage: dict[str, Value] = {"input_tokens": MILLION, "output_tokens": 0}

    assert cost(insert, store, call("openai", "o3", **usage), at=datetime(2025, 6, 9, tzinfo=UTC)) == 10
    with_new_price = cost_of_next_day(insert, store, usage)
    assert with_new_price == 2


def cost_of_next_day(insert: Insert, store: Store, usage: dict[str, Value]) -> Decimal | None:
    next_day = int(datetime(2025, 6, 10, tzinfo=UTC).timestamp()) * SECOND
    insert(plain_span("next", attributes=call("openai", "o3", **usage), id_=b"\x09" * 8, start=next_day))
    return next(span.cost_usd for span in store.reader.get_trace("default", TRACE_ID.hex()) if span.name == "next")


@pytest.mark.parametrize(
    ("hour", "minute", "second", "expected"),
    [(0, 29, 59, "0.135"), (0, 30, 0, "0.27"), (16, 29, 59, "0.27"), (16, 30, 0, "0.135")],
)
def test_the_price_is_that_of_the_hour(
    insert: Insert, store: Store, hour: int, minute: int, second: int, expected: str
) -> None:
    usage: dict[str, Value] = {"input_tokens": MILLION, "output_tokens": 0}
    at = datetime(2026, 9, 1, hour, minute, second, tzinfo=UTC)

    assert cost(insert, store, call("deepseek", "deepseek-chat", **usage), at=at) == Decimal(expected)


def test_a_request_that_has_a_price_of_its_own_is_charged_once(insert: Insert, store: Store) -> None:
    usage: dict[str, Value] = {"input_tokens": MILLION, "output_tokens": 0}

    assert cost(insert, store, call("perplexity", "sonar", **usage)) == Decimal("1.012")


def test_the_dated_name_of_the_answer_is_tried_before_the_asked_one(insert: Insert, store: Store) -> None:
    attributes = call("openai", "gpt-4o-mini", input_tokens=MILLION, output_tokens=0)

    assert cost(insert, store, attributes | {semconv.GEN_AI_RESPONSE_MODEL: "gpt-4o-2024-08-06"}) == Decimal("2.5")


def test_a_deployment_with_a_name_of_its_own_is_priced_by_the_model_asked_for(insert: Insert, store: Store) -> None:
    attributes = call("openai", "gpt-4o-mini", input_tokens=MILLION, output_tokens=0)

    assert cost(insert, store, attributes | {semconv.GEN_AI_RESPONSE_MODEL: "my-deployment"}) == Decimal("0.15")


def test_reasoning_is_part_of_the_output_and_costs_the_same_unless_a_user_says_otherwise(
    insert: Insert, store: Store
) -> None:
    usage: dict[str, Value] = {
        "input_tokens": 0,
        "output_tokens": MILLION,
        "reasoning.output_tokens": MILLION // 4,
    }
    assert cost(insert, store, call("openai", "o3-mini", **usage)) == Decimal("4.4")

    store.prices.put([rule("o3-mini", "1", "4", reasoning="8")])

    assert cost_now(store) == 3 + 2


def test_a_part_that_is_larger_than_the_whole_makes_no_part_negative(insert: Insert, store: Store) -> None:
    usage: dict[str, Value] = {"input_tokens": 0, "output_tokens": 10, "reasoning.output_tokens": 30}
    cost(insert, store, call("home", "odd", **usage))

    store.prices.put([rule("odd", "1", "2", reasoning="4", cache_read="1")])

    assert cost_now(store) == 30 * Decimal(4) / MILLION


def test_changing_a_price_reprices_the_past_at_once(insert: Insert, store: Store) -> None:
    attributes = call("home", "llama", input_tokens=MILLION, output_tokens=MILLION)
    assert cost(insert, store, attributes) is None

    store.prices.put([rule("llama", "1", "2", valid_from=date(2020, 1, 1))])
    assert cost_now(store) == 3

    store.prices.put([rule("llama", "4", "4", valid_from=date(2026, 1, 1))])
    assert cost_now(store) == 8

    store.prices.put([rule("llama", "5", "5", valid_from=date(2026, 1, 1))])
    assert cost_now(store) == 10

    store.prices.remove(store.prices.list())
    assert cost_now(store) is None


@pytest.mark.parametrize(("tokens", "expected"), [(1000, 1), (1001, 5), (2001, 7)])
def test_beyond_a_tier_all_tokens_cost_the_tiers_price(
    insert: Insert, store: Store, tokens: int, expected: int
) -> None:
    tiers = [
        Tier(above=2000, prices=Prices(input=Decimal(7))),
        Tier(above=1000, prices=Prices(input=Decimal(5), output=Decimal(9))),
    ]
    store.prices.put([rule("tiered", "1", provider="home", tiers=tiers)])

    found = cost(insert, store, call("home", "tiered", input_tokens=tokens, output_tokens=1))
    assert found == Decimal(tokens * expected + (9 if expected > 1 else 0)) / MILLION


def test_the_users_price_beats_the_packages_until_it_is_taken_away(insert: Insert, store: Store) -> None:
    store.prices.put([rule("gpt-4o-mini", "7", provider="openai")])
    attributes = call("openai", "gpt-4o-mini", input_tokens=MILLION, output_tokens=0)
    assert cost(insert, store, attributes | {semconv.GEN_AI_RESPONSE_MODEL: "gpt-4o-mini-2024-07-18"}) == 7

    store.prices.remove(store.prices.list())

    assert cost_now(store) == Decimal("0.15")


def test_before_its_first_day_a_users_price_leaves_the_packages_in_force(insert: Insert, store: Store) -> None:
    store.prices.put([rule("gpt-4o-mini", "7", valid_from=date(2026, 9, 2))])

    assert cost(insert, store, call("openai", "gpt-4o-mini", input_tokens=MILLION, output_tokens=0)) == Decimal("0.15")


def test_a_projects_price_beats_everybodys_and_is_its_own(insert: Insert, store: Store) -> None:
    store.prices.put([rule("gpt-4o-mini", "7"), rule("gpt-*", "9", project="shop")])
    attributes = call("openai", "gpt-4o-mini", input_tokens=MILLION, output_tokens=0)

    assert cost(insert, store, attributes) == 7
    assert cost(insert, store, attributes, project="shop") == 9


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (rule("gpt-4o*", "1"), rule("gpt-4o-mini", "2")),
        (rule("gpt-*", "1"), rule("gpt-4o-*", "2")),
        (rule("gpt-4o-mini", "1"), rule("gpt-4o-mini", "2", provider="openai")),
        (rule("gpt-4o*", "1", valid_from=date(2026, 8, 1)), rule("gpt-4o-mini", "2", valid_from=date(2026, 1, 1))),
        (rule("gpt-4o*", "1", valid_from=date(2026, 1, 1)), rule("gpt-4o*", "2", valid_from=date(2026, 8, 1))),
    ],
    ids=["name", "longer pattern", "provider", "name from an earlier day", "later day"],
)
def test_the_more_exact_price_counts_whichever_came_first(
    insert: Insert, store: Store, less: PriceRule, more: PriceRule
) -> None:
    store.prices.put([more, less])

    assert cost(insert, store, call("openai", "gpt-4o-mini", input_tokens=MILLION, output_tokens=0)) == 2


@pytest.mark.parametrize(("provider", "expected"), [("gcp.vertex_ai", 7), ("google", 7), ("openai", None)])
def test_a_provider_goes_by_its_own_name_and_by_the_packages(
    insert: Insert, store: Store, provider: str, expected: int | None
) -> None:
    cost(insert, store, call("gcp.vertex_ai", "tuned-by-us", input_tokens=MILLION, output_tokens=0))

    store.prices.put([rule("tuned-*", "7", provider=provider)])

    assert cost_now(store) == expected


def test_a_change_that_was_cut_off_is_finished_at_the_next_start(insert: Insert, store: Store) -> None:
    cost(insert, store, call("home", "llama", input_tokens=MILLION, output_tokens=0))
    store.prices.put([rule("llama", "1")])
    with store._writers.borrow() as client:  # the rule was written, and no row of the table
        client.command("ALTER TABLE model_prices DELETE WHERE project = '*'", settings={"mutations_sync": 1})
        client.command("SYSTEM RELOAD DICTIONARY prices")
    assert cost_now(store) is None

    store.migrate()

    assert cost_now(store) == 1


def test_a_pattern_prices_names_that_come_after_it(insert: Insert, store: Store) -> None:
    store.prices.put([rule("in-house-*", "3", project="default"), rule("in-house-?[1m]", "5", project="default")])
    assert cost(insert, store, call("home", "in-house-7", input_tokens=MILLION, output_tokens=0)) is None

    assert store.prices.learn(since_unix_nano=0) == 1

    assert cost_now(store) == 3
    assert store.prices.learn(since_unix_nano=0) == 0
    cost(insert, store, call("home", "In-House-8[1m]", input_tokens=MILLION, output_tokens=0))
    store.prices.learn(since_unix_nano=0)
    assert cost_now(store) == 5


def test_a_name_known_only_by_a_pattern_is_learnt_when_it_is_seen(insert: Insert, store: Store) -> None:
    attributes = call("anthropic", "claude-3-5-sonnet@my-region-20991231", input_tokens=MILLION, output_tokens=0)
    assert cost(insert, store, attributes) is None

    assert store.prices.learn(since_unix_nano=0) == 1

    assert cost_now(store) == 3
    assert store.prices.learn(since_unix_nano=0) == 0


def test_a_model_is_known_without_its_provider(insert: Insert, store: Store) -> None:
    attributes = call("", "gpt-4o-mini", input_tokens=MILLION, output_tokens=0)

    assert cost(insert, store, attributes) == Decimal("0.15")


def test_a_new_release_of_the_prices_replaces_them_and_keeps_what_was_learnt(insert: Insert, store: Store) -> None:
    learnt = call("anthropic", "claude-3-5-sonnet@elsewhere-20991231", input_tokens=MILLION, output_tokens=0)
    cost(insert, store, learnt)
    store.prices.learn(since_unix_nano=0)
    with store._writers.borrow() as client:
        client.command(
            "INSERT INTO model_prices SELECT project, provider, model, 'genai-prices 0.0.1', arrayMap("
            "  x -> (x.1, x.2, x.3, arrayMap(y -> tupleConcat((y.1, y.2, y.3, toDecimal128(7, 12)), "
            "    (y.5, y.6, y.7, y.8, y.9, y.10, y.11)), x.4)), history), version + 1, 0 FROM model_prices FINAL"
        )
        client.command("OPTIMIZE TABLE model_prices FINAL")
        client.command("SYSTEM RELOAD DICTIONARY prices")
    assert cost_now(store) == 7

    store.migrate()

    assert cost_now(store) == 3
    known = call("openai", "gpt-4o-mini", input_tokens=MILLION, output_tokens=0)
    assert cost(insert, store, known) == Decimal("0.15")


def test_a_deleted_projects_prices_go_with_it(store: Store) -> None:
    store.prices.put([rule("gpt-4o-mini", "9", project="shop"), rule("gpt-4o-mini", "7")])

    store.drop_project("shop")

    assert [kept.project for kept in store.prices.list()] == [""]
    assert {whose for whose, _ in store.prices.periods("shop", [("openai", "gpt-4o-mini")])} == {"", "*"}
