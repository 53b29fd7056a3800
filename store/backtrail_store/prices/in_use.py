"""Which models a project uses, what they used, and what they cost now.

list_models.sql, table → **in_use** → routes/models.py
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from backtrail_store.prices.rates import DAY_SECONDS, EVERYBODY, PACKAGE, Name, Period, Rate, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentPrice:
    """The period that counts today, and of its rates those of this hour: the one below all tiers, and the tiers."""

    period: Period
    rate: Rate
    tiers: Sequence[Rate]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A model by the name its price is looked up by; empty where no span says one. A call that several spans tell of
    counts once. `waiting_count` is of spans with usage and without a cost."""

    provider: str
    model: str
    span_count: int
    usage_count: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None
    waiting_count: int
    last_start_unix_nano: int
    price: CurrentPrice | None


Models = list[ModelRow]


def model_row(columns: Sequence[Any], project: str, periods: Mapping[Row, Sequence[Period]], now: datetime) -> ModelRow:
    provider, model, spans, usages, input_, output, cost, waiting, last_start = columns
    return ModelRow(
        provider=provider,
        model=model,
        span_count=spans,
        usage_count=usages,
        input_tokens=input_,
        output_tokens=output,
        cost_usd=cost,
        waiting_count=waiting,
        last_start_unix_nano=last_start,
        price=current_price(project, (provider, model), periods, now),
    )


def current_price(
    project: str, name: Name, periods: Mapping[Row, Sequence[Period]], now: datetime
) -> CurrentPrice | None:
    """By whoever has the first word and says something of today."""
    today = now.astimezone(UTC).date()
    for whose in (project, EVERYBODY, PACKAGE):
        begun = [period for period in periods.get((whose, name), ()) if period.valid_from <= today]
        if begun:
            return _at(begun[-1], now) if begun[-1].rates else None
    return None


def _at(period: Period, now: datetime) -> CurrentPrice:
    second = int(now.timestamp()) % DAY_SECONDS
    fitting = [rate for rate in period.rates if rate.begins <= second < rate.ends]
    first = max(place for place, rate in enumerate(fitting) if rate.above < 0)
    return CurrentPrice(period=period, rate=fitting[first], tiers=fitting[first + 1 :])
