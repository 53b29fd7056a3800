"""What the store reckons is what the genai-prices package itself would."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price, types
from genai_prices.data_snapshot import get_snapshot

from backtrail import semconv
from backtrail_store import Store
from tests.conftest import Insert
from tests.factories import SECOND, TRACE_ID, plain_span, span_id

# As OpenTelemetry calls those that the package calls otherwise.
OTEL_NAMES = {
    "azure": "azure.ai.openai",
    "aws": "aws.bedrock",
    "google": "gcp.vertex_ai",
    "x-ai": "x_ai",
    "mistral": "mistral_ai",
    "moonshotai": "moonshot_ai",
}
TOKENS = ("input", "output", "cache_read", "cache_write", "output_reasoning", "input_audio", "output_audio")
ATTRIBUTES = dict(
    zip(
        TOKENS,
        (
            semconv.GEN_AI_USAGE_INPUT_TOKENS,
            semconv.GEN_AI_USAGE_OUTPUT_TOKENS,
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.audio.input_tokens",
            "gen_ai.usage.audio.output_tokens",
        ),
        strict=True,
    )
)
FIRST, DAYS = datetime(2024, 3, 1, tzinfo=UTC), 990
TIERS = (0, 1, 32_000, 100_000, 128_000, 200_000, 256_000, 272_000, 512_000)


@dataclass(frozen=True)
class Call:
    provider: str
    model: str
    at: datetime
    tokens: dict[str, int]

    def price(self) -> Decimal:
        usage = {f"{part}_tokens": count for part, count in self.tokens.items()}
        # Which of the cached tokens were spoken no convention says: none, then.
        usage |= {"cache_audio_read_tokens": 0, "cache_audio_write_tokens": 0}
        return calc_price(
            Usage(**usage), self.model, provider_id=self.provider, genai_request_timestamp=self.at
        ).total_price

    def attributes(self) -> dict[str, str | int]:
        return {
            semconv.GEN_AI_OPERATION_NAME: "chat",
            semconv.GEN_AI_PROVIDER_NAME: OTEL_NAMES.get(self.provider, self.provider),
            semconv.GEN_AI_REQUEST_MODEL: self.model,
            **{ATTRIBUTES[part]: count for part, count in self.tokens.items()},
        }


def random_calls(seed: int) -> Iterator[Call]:
    chance = random.Random(seed)
    providers = get_snapshot().providers
    by_the_hour = [("deepseek", model) for model in ("deepseek-chat", "deepseek-reasoner", "deepseek-v4-flash")]
    spoken = [("openai", "gpt-4o-realtime-preview"), ("google", "gemini-2.5-flash"), ("openai", "gpt-realtime-mini")]
    others = [("perplexity", "sonar-deep-research"), ("perplexity", "sonar-pro"), ("google", "claude-sonnet-4-5")]
    while True:
        provider = chance.choice(providers)
        name = provider.id, chance.choice(provider.models).id
        yield random_call(chance, chance.choice([name, name, name, name, *by_the_hour, *spoken, *others]))


def random_call(chance: random.Random, name: tuple[str, str]) -> Call:
    input_ = chance.choice([chance.choice(TIERS) + chance.randint(-1, 1), chance.randint(0, 600_000)])
    input_ = max(input_, 0)
    output = chance.randint(0, 100_000)
    cache_read = chance.randint(0, input_)
    cache_write = chance.randint(0, input_ - cache_read) if chance.random() < 0.5 else 0
    reasoning = chance.randint(0, output)
    tokens = dict(zip(TOKENS, (input_, output, cache_read, cache_write, reasoning), strict=False))
    if chance.random() < 0.5:
        tokens["input_audio"] = chance.randint(0, input_ - cache_read - cache_write)
        tokens["output_audio"] = chance.randint(0, output - reasoning)
    at = FIRST + timedelta(days=chance.randrange(DAYS), seconds=chance.randrange(86_400))
    return Call(*name, at, tokens)


def is_priced(call: Call) -> bool:
    """By tokens or requests; what costs something by the hour or the page has no known price here."""
    try:
        _, model = get_snapshot().find_provider_model(call.model, None, call.provider, None)
    except LookupError:
        return False
    price: types.ModelPrice = model.get_prices(call.at)
    return any(getattr(price, f"{part}_mtok") is not None for part in ("input", "output"))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_cost_is_the_packages_own_to_a_billionth_of_a_dollar(insert: Insert, store: Store, seed: int) -> None:
    calls = []
    for call in random_calls(seed):
        if is_priced(call):
            calls.append(call)
        if len(calls) == 200:
            break
    insert(
        *(
            plain_span(id_=span_id(number), attributes=call.attributes(), start=int(call.at.timestamp()) * SECOND)
            for number, call in enumerate(calls, 1)
        )
    )

    store.prices.learn(since_unix_nano=0)

    found = {int(span.span_id, 16): span.cost_usd for span in store.reader.get_trace("default", TRACE_ID.hex())}
    wrong = [
        (call, call.price(), found[number])
        for number, call in enumerate(calls, 1)
        if (cost := found[number]) is None or abs(cost - call.price()) > Decimal("1e-9")
    ]
    assert wrong == []
    assert len({call.provider for call in calls}) > 20
    assert sum(call.price() > 0 for call in calls) > 150
