"""What a model call cost, on the day it was made."""

from datetime import UTC, date, datetime
from importlib.metadata import version

import pytest

from backtrail import semconv
from backtrail_store import ModelPrice, Store
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


def cost(insert: Insert, store: Store, attributes: dict[str, Value], *, day: date = date(2026, 9, 1)) -> float | None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    insert(plain_span(attributes=attributes, start=int(midnight.timestamp()) * SECOND))
    [span] = store.reader.get_trace("default", TRACE_ID.hex())
    return span.cost_usd


def user_price(model: str, valid_from: date, **prices: list[float]) -> ModelPrice:
    parts: dict[str, list[float]] = {part: [0.0] for part in ("input", "output", "cache_read", "cache_write")}
    starts = [0] if not prices or len(next(iter(prices.values()))) == 1 else [0, 1000]
    return ModelPrice(
        provider="home", model=model, valid_from=valid_from, source="user", tier_starts=starts, **(parts | prices)
    )


def test_a_known_model_is_priced_from_its_tokens(insert: Insert, store: Store) -> None:
    usage: dict[str, Value] = {"input_tokens": MILLION, "output_tokens": MILLION}

    assert cost(insert, store, call("openai", "gpt-4o-mini", **usage)) == pytest.approx(0.15 + 0.6)


def test_cached_tokens_are_part_of_the_input_and_cheaper(insert: Insert, store: Store) -> None:
    usage: dict[str, Value] = {"input_tokens": MILLION, "cache_read.input_tokens": MILLION // 2, "output_tokens": 0}

    assert cost(insert, store, call("openai", "gpt-4o-mini", **usage)) == pytest.approx(0.15 / 2 + 0.075 / 2)


def test_a_model_nobody_knows_has_no_price_rather_than_none_to_pay(insert: Insert, store: Store) -> None:
    assert cost(insert, store, call("openai", "gpt-from-the-future", input_tokens=MILLION)) is None


def test_a_call_without_usage_has_no_cost(insert: Insert, store: Store) -> None:
    assert cost(insert, store, call("openai", "gpt-4o-mini")) is None


def test_a_reported_cost_stands(insert: Insert, store: Store) -> None:
    assert cost(insert, store, call("openai", "gpt-4o-mini", input_tokens=MILLION, cost=0.5)) == 0.5


def test_the_price_is_that_of_the_day(insert: Insert, store: Store) -> None:
    usage: dict[str, Value] = {"input_tokens": MILLION, "output_tokens": 0}

    assert cost(insert, store, call("openai", "o3", **usage), day=date(2025, 6, 9)) == pytest.approx(10)
    with_new_price = cost_of_next_day(insert, store, usage)
    assert with_new_price == pytest.approx(2)


def cost_of_next_day(insert: Insert, store: Store, usage: dict[str, Value]) -> float | None:
    next_day = int(datetime(2025, 6, 10, tzinfo=UTC).timestamp()) * SECOND
    insert(plain_span("next", attributes=call("openai", "o3", **usage), id_=b"\x09" * 8, start=next_day))
    return next(span.cost_usd for span in store.reader.get_trace("default", TRACE_ID.hex()) if span.name == "next")


def test_the_dated_name_of_the_answer_is_tried_before_the_asked_one(insert: Insert, store: Store) -> None:
    attributes = call("openai", "gpt-4o-mini", input_tokens=MILLION, output_tokens=0)

    dated = cost(insert, store, attributes | {semconv.GEN_AI_RESPONSE_MODEL: "gpt-4o-mini-2024-07-18"})
    assert dated == pytest.approx(0.15)


def test_a_deployment_with_a_name_of_its_own_is_priced_by_the_model_asked_for(insert: Insert, store: Store) -> None:
    attributes = call("openai", "gpt-4o-mini", input_tokens=MILLION, output_tokens=0)

    assert cost(insert, store, attributes | {semconv.GEN_AI_RESPONSE_MODEL: "my-deployment"}) == pytest.approx(0.15)


def test_changing_a_price_reprices_the_past_at_once(insert: Insert, store: Store) -> None:
    attributes = call("home", "llama", input_tokens=MILLION, output_tokens=MILLION)
    assert cost(insert, store, attributes) is None

    store.set_prices([user_price("llama", date(2020, 1, 1), input=[1.0], output=[2.0])])
    [span] = store.reader.get_trace("default", TRACE_ID.hex())
    assert span.cost_usd == pytest.approx(3)

    store.set_prices([user_price("llama", date(2026, 1, 1), input=[4.0], output=[4.0])])
    [span] = store.reader.get_trace("default", TRACE_ID.hex())
    assert span.cost_usd == pytest.approx(8)


@pytest.mark.parametrize(("tokens", "expected"), [(1000, 1000 * 1.0), (1001, 1001 * 5.0)])
def test_beyond_a_tier_all_tokens_cost_the_tiers_price(
    insert: Insert, store: Store, tokens: int, expected: float
) -> None:
    store.set_prices(
        [
            user_price(
                "tiered",
                date(2020, 1, 1),
                input=[1.0, 5.0],
                output=[0.0, 0.0],
                cache_read=[0.0, 0.0],
                cache_write=[0.0, 0.0],
            )
        ]
    )

    found = cost(insert, store, call("home", "tiered", input_tokens=tokens, output_tokens=0))
    assert found == pytest.approx(expected / MILLION)


def test_the_users_price_beats_the_packages(insert: Insert, store: Store) -> None:
    own = ModelPrice(
        provider="openai",
        model="gpt-4o-mini",
        valid_from=date(1970, 1, 1),
        source="user",
        tier_starts=[0],
        input=[7.0],
        output=[0.0],
        cache_read=[0.0],
        cache_write=[0.0],
    )
    store.set_prices([own])

    found = cost(insert, store, call("openai", "gpt-4o-mini", input_tokens=MILLION, output_tokens=0))
    assert found == pytest.approx(7)


def test_a_name_known_only_by_a_pattern_is_learnt_when_it_is_seen(insert: Insert, store: Store) -> None:
    attributes = call("anthropic", "claude-3-5-sonnet@my-region-20991231", input_tokens=MILLION, output_tokens=0)
    insert(plain_span(attributes=attributes))
    [before] = store.reader.get_trace("default", TRACE_ID.hex())

    learnt = store.learn_prices(since_unix_nano=0)

    [after] = store.reader.get_trace("default", TRACE_ID.hex())
    assert before.cost_usd is None
    assert after.cost_usd == pytest.approx(3)
    assert learnt >= 1
    assert store.learn_prices(since_unix_nano=0) == 0


def test_a_new_release_of_the_prices_replaces_them_and_keeps_what_was_learnt(insert: Insert, store: Store) -> None:
    learnt = call("anthropic", "claude-3-5-sonnet@elsewhere-20991231", input_tokens=MILLION, output_tokens=0)
    cost(insert, store, learnt)
    store.learn_prices(since_unix_nano=0)
    with store._writers.borrow() as client:
        client.command(
            "INSERT INTO model_prices SELECT * REPLACE ('genai-prices 0.0.1' AS source, [7.] AS input)"
            " FROM model_prices WHERE source LIKE 'genai-prices %'"
        )
        current = f"source = 'genai-prices {version('genai-prices')}'"
        client.command(f"ALTER TABLE model_prices DELETE WHERE {current}", settings={"mutations_sync": 1})
        client.command("SYSTEM RELOAD DICTIONARY prices")
    assert cost(insert, store, learnt) == pytest.approx(7)

    store.migrate()

    assert cost(insert, store, learnt) == pytest.approx(3)
    known = call("openai", "gpt-4o-mini", input_tokens=MILLION, output_tokens=0)
    assert cost(insert, store, known) == pytest.approx(0.15)
