"""The prices of the genai-prices package, and its way of telling which model a name means.

    genai-prices → **package** → table

Whatever it would say of a name (by its patterns, by the maker of a resold model) is asked of it and never guessed; what
it says is compiled into rates, which ClickHouse reads.
"""

from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from itertools import dropwhile

from genai_prices import types
from genai_prices.data_snapshot import get_snapshot

from backtrail_store.prices.rates import ALWAYS, DAY_SECONDS, Name, Period, Prices, Rate, by_day, rate_of

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
_PACKAGE_PROVIDERS = {name: id_ for id_, names in _OTEL_PROVIDERS.items() for name in names}
_PARTS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "reasoning": "output_reasoning_mtok",
    "input_audio": "input_audio_mtok",
    "output_audio": "output_audio_mtok",
    "request": "requests_kcount",
}


@cache
def package_version() -> str:
    return f"genai-prices {version('genai-prices')}"


def package_names() -> Iterator[Name]:
    """Every provider's own models that the package spells out, and each model without a provider: what is known before
    it is asked about. Models that others resell are learnt when they are seen, so that a first start is short."""
    for provider in get_snapshot().providers:
        for name in sorted({name for model in provider.models for name in _spellings(model)}):
            yield from ((otel_name, name) for otel_name in _OTEL_PROVIDERS.get(provider.id, (provider.id,)))
            yield "", name


def package_periods(name: Name) -> tuple[Period, ...]:
    """What the package says a model of this name costs; nothing if it does not know it, or no price for tokens."""
    provider, model = name
    try:
        _, info = get_snapshot().find_provider_model(model, None, package_provider(provider), None)
    except LookupError:
        return ()
    return _compiled(info)


def package_provider(otel_name: str) -> str | None:
    return _PACKAGE_PROVIDERS.get(otel_name, otel_name) or None


def _spellings(model: types.ModelInfo) -> set[str]:
    return {model.id, *_literals(model.match)}


def _literals(clause: object) -> Iterator[str]:
    if isinstance(clause, types.ClauseEquals):
        yield clause.equals
    elif isinstance(clause, types.ClauseOr):
        for part in clause.or_:
            yield from _literals(part)


def _compiled(model: types.ModelInfo) -> tuple[Period, ...]:
    """Each day on which its price changes, with the rates of that day."""
    entries = _entries(model)
    starts = (entry.constraint for entry in entries)
    days = sorted({ALWAYS} | {start.start_date for start in starts if isinstance(start, types.StartDateConstraint)})
    periods = [
        Period(valid_from=day, source="genai-prices", origin=package_version(), rates=_rates_on(entries, day))
        for day in days
    ]
    return tuple(dropwhile(lambda period: not period.rates, by_day(periods)))


def _entries(model: types.ModelInfo) -> list[types.ConditionalPrice]:
    if isinstance(model.prices, types.ModelPrice):
        return [types.ConditionalPrice(prices=model.prices)]
    return model.prices


def _rates_on(entries: list[types.ConditionalPrice], day: date) -> tuple[Rate, ...]:
    """The last entry that is in force counts, and the first one where none is."""
    rates = _tiers(entries[0].prices, 0, DAY_SECONDS) if entries else []
    for entry in entries:
        match entry.constraint:
            case None:
                rates = _tiers(entry.prices, 0, DAY_SECONDS)
            case types.StartDateConstraint(start_date=start_date) if start_date <= day:
                rates = _tiers(entry.prices, 0, DAY_SECONDS)
            case types.TimeOfDateConstraint(start_time=start_time, end_time=end_time):
                for begins, ends in _parts_of_day(_second(start_time), _second(end_time)):
                    rates += _tiers(entry.prices, begins, ends)
    return tuple(rates)


def _parts_of_day(begins: int, ends: int) -> list[tuple[int, int]]:
    return [(begins, ends)] if begins <= ends else [(begins, DAY_SECONDS), (0, ends)]


def _second(moment: time) -> int:
    offset = moment.utcoffset()
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
    return (seconds - int(offset.total_seconds() if offset else 0)) % DAY_SECONDS


def _tiers(price: types.ModelPrice, begins: int, ends: int) -> list[Rate]:
    """Nothing where neither tokens nor requests have a price: what an hour or a page costs does not help here."""
    found = {part: getattr(price, key) for part, key in _PARTS.items()}
    if all(value is None for value in found.values()):
        return []
    starts = {tier.start for value in found.values() if isinstance(value, types.TieredPrices) for tier in value.tiers}
    return [
        rate_of(
            Prices(**{part: _at(value, above, part) for part, value in found.items()}),
            above=above,
            begins=begins,
            ends=ends,
        )
        for above in [-1, *sorted(starts)]
    ]


def _at(price: Decimal | types.TieredPrices | None, above: int, part: str) -> Decimal | None:
    if isinstance(price, types.TieredPrices):
        reached = [tier.price for tier in price.tiers if tier.start <= above]
        price = reached[-1] if reached else price.base
    return price / 1000 if price is not None and part == "request" else price
