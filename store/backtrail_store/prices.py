"""Prices of models, from the genai-prices package and from the user, into model_prices.

    genai-prices → **prices** → model_prices → dictionary → spans.cost_usd

Prices are looked up by exact name on the span's day, so every spelling that genai-prices lists becomes a row. Names
that it knows only by a pattern are learnt when they are first seen, by asking it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.metadata import version

from clickhouse_connect.driver.client import Client
from genai_prices import types
from genai_prices.data_snapshot import get_snapshot
from pydantic_core import to_json

# OpenTelemetry's provider names for the package's provider ids; others are the same, or have no OTel name.
_OTEL_PROVIDERS = {
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "azure": ("azure.ai.openai", "azure.ai.inference"),
    "aws": ("aws.bedrock",),
    "google": ("gcp.gemini", "gcp.gen_ai", "gcp.vertex_ai"),
    "x-ai": ("x_ai",),
    "mistral": ("mistral_ai",),
    "moonshotai": ("moonshot_ai",),
}
_ALWAYS = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """US dollars for a million tokens of `model` from a day on; lists run parallel to `tier_starts`."""

    provider: str
    model: str
    valid_from: date
    source: str
    tier_starts: list[int]
    input: list[float]
    output: list[float]
    cache_read: list[float]
    cache_write: list[float]


def seed_prices(client: Client) -> int:
    """Writes the package's prices unless this version of them is there. Returns the number of rows written."""
    source = f"genai-prices {version('genai-prices')}"
    seen = client.query(
        "SELECT 1 FROM model_prices WHERE source = {source:String} LIMIT 1", parameters={"source": source}
    )
    if seen.result_rows:
        return 0
    # Rows of an older release stay under its name, so they go, and what was learnt from it is learnt again.
    before = client.query("SELECT DISTINCT provider, model FROM model_prices WHERE source LIKE 'genai-prices %'")
    by_key = {(p.provider, p.model, p.valid_from): p for p in _package_prices(source)}
    prices = list(by_key.values())
    covered = {(provider, model) for provider, model, _ in by_key}
    prices += _learn(
        [(provider, model) for provider, model in before.result_rows if (provider, model) not in covered], source
    )
    client.command("ALTER TABLE model_prices DELETE WHERE source LIKE 'genai-prices %'", settings={"mutations_sync": 1})
    return write_prices(client, prices)


def write_prices(client: Client, prices: Iterable[ModelPrice]) -> int:
    """Stores prices and lets them count at once, for the past too."""
    rows = [to_json(price) for price in prices]
    if rows:
        # As text: inserting Python lists would import pandas and keep 75 MB for it.
        client.raw_insert("model_prices", insert_block=b"\n".join(rows), fmt="JSONEachRow")
        client.command("SYSTEM RELOAD DICTIONARY prices")
    return len(rows)


def learn_prices(client: Client, unknown: Iterable[tuple[str, str]]) -> int:
    """Asks the package about (provider, model) pairs seen in spans without a price; unknown ones stay unknown."""
    return write_prices(client, _learn(unknown, f"genai-prices {version('genai-prices')}"))


def _learn(unknown: Iterable[tuple[str, str]], source: str) -> Iterator[ModelPrice]:
    snapshot = get_snapshot()
    for provider, model in unknown:
        try:
            _, info = snapshot.find_provider_model(model, None, _package_provider(provider), None)
        except LookupError:
            continue
        yield from _model_prices(info, provider, [model], source)


def _package_provider(otel_name: str) -> str | None:
    for package_id, names in _OTEL_PROVIDERS.items():
        if otel_name in names:
            return package_id
    return otel_name or None


def _package_prices(source: str) -> Iterator[ModelPrice]:
    providers = {provider.id: provider for provider in get_snapshot().providers}
    for provider in providers.values():
        for name in _OTEL_PROVIDERS.get(provider.id, (provider.id,)):
            # Last wins: a provider's own price beats that of the maker whose model it resells.
            for reseller_of in provider.fallback_model_providers or []:
                for model in providers[reseller_of].models if reseller_of in providers else []:
                    yield from _model_prices(model, name, _spellings(model), source)
            for model in provider.models:
                yield from _model_prices(model, name, _spellings(model), source)


def _spellings(model: types.ModelInfo) -> set[str]:
    return {model.id, *_literals(model.match)}


def _literals(clause: object) -> Iterator[str]:
    if isinstance(clause, types.ClauseEquals):
        yield clause.equals
    elif isinstance(clause, types.ClauseOr):
        for part in clause.or_:
            yield from _literals(part)


def _model_prices(model: types.ModelInfo, provider: str, names: Iterable[str], source: str) -> Iterator[ModelPrice]:
    for valid_from, price in _by_day(model):
        if price.input_mtok is None and price.output_mtok is None:
            continue
        starts = _tier_starts(price)
        parts = {part: _at_tiers(price, part, starts) for part in ("input", "output", "cache_read", "cache_write")}
        for name in names:
            yield ModelPrice(
                provider=provider, model=name, valid_from=valid_from, source=source, tier_starts=starts, **parts
            )


def _by_day(model: types.ModelInfo) -> Iterator[tuple[date, types.ModelPrice]]:
    """A price list's entries with the day each begins. Prices by time of day are left out: the list's first stands."""
    if isinstance(model.prices, types.ModelPrice):
        yield _ALWAYS, model.prices
        return
    for entry in model.prices:
        if entry.constraint is None:
            yield _ALWAYS, entry.prices
        elif isinstance(entry.constraint, types.StartDateConstraint):
            yield entry.constraint.start_date, entry.prices


def _tier_starts(price: types.ModelPrice) -> list[int]:
    tiers = [part.tiers for part in vars(price).values() if isinstance(part, types.TieredPrices)]
    return sorted({0} | {tier.start for part in tiers for tier in part})


def _at_tiers(price: types.ModelPrice, part: str, starts: list[int]) -> list[float]:
    """The part's price at each tier. Cached tokens without a price of their own are charged as input."""
    found: Decimal | types.TieredPrices | None = getattr(price, f"{part}_mtok", None)
    if found is None and part.startswith("cache"):
        found = price.input_mtok
    return [_at(found, start) for start in starts]


def _at(price: Decimal | types.TieredPrices | None, start: int) -> float:
    if isinstance(price, types.TieredPrices):
        reached = [tier.price for tier in price.tiers if tier.start <= start]
        return float(reached[-1] if reached else price.base)
    return float(price or 0)
