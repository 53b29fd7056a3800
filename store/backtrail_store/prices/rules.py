"""Prices that users gave, and which of them is meant by a name. Pure.

    price_rules → **rules** → table

A project's word beats everybody's, and on one side the exact name beats a pattern, the longer pattern the shorter, one
for a provider one for any. Among equals the later day counts from then on.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from backtrail_store.prices.package import package_provider
from backtrail_store.prices.rates import ALWAYS, Name, Period, Prices, by_day, rate_of

Origin = Literal["set", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What holds for all tokens of a call with more than so many input tokens; None is as without the tier."""

    above: int
    prices: Prices


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRule:
    """`model` is a name, or a pattern with * and ?. Without a project it is for all, without a provider for any; the
    package's word for a provider, `google`, stands for all of OpenTelemetry's, `gcp.gemini` and `gcp.vertex_ai`."""

    project: str = ""
    provider: str = ""
    model: str
    valid_from: date = ALWAYS
    origin: Origin = "set"
    prices: Prices
    tiers: tuple[Tier, ...] = ()

    @property
    def identity(self) -> tuple[str, str, str, date]:
        """Of rules with the same one the last that was given counts."""
        return self.project, self.provider, self.model, self.valid_from

    def fits(self, name: Name) -> bool:
        provider, model = name
        wanted = self.provider.lower()
        is_provider = wanted in ("", provider.lower(), package_provider(provider))
        return is_provider and _pattern(self.model).fullmatch(model) is not None

    @property
    def closeness(self) -> tuple[bool, int, bool]:
        wildcards = sum(self.model.count(wildcard) for wildcard in "*?")
        return wildcards == 0, len(self.model) - wildcards, bool(self.provider)


def user_periods(rules: Iterable[PriceRule], name: Name) -> tuple[Period, ...]:
    """What these rules, all of the same project, say a model of this name costs."""
    fitting = [rule for rule in rules if rule.fits(name)]
    days = sorted({rule.valid_from for rule in fitting})
    periods = []
    for day in days:
        best = max(
            (rule for rule in fitting if rule.valid_from <= day),
            key=lambda rule: (rule.closeness, rule.valid_from, rule.model, rule.provider),
        )
        periods.append(_period(best, day))
    return tuple(by_day(periods))


def named(rules: Iterable[PriceRule]) -> set[Name]:
    """Names that rules spell out, whether or not anybody has seen them."""
    return {(rule.provider, rule.model) for rule in rules if rule.closeness[0]}


def _period(rule: PriceRule, day: date) -> Period:
    tiers = sorted(rule.tiers, key=lambda tier: tier.above)
    rates = [rate_of(rule.prices)]
    prices = rule.prices
    for tier in tiers:
        prices = _changed(prices, tier.prices)
        rates.append(rate_of(prices, above=tier.above))
    return Period(valid_from=day, source="user", origin=rule.model, rates=tuple(rates))


def _changed(prices: Prices, change: Prices) -> Prices:
    given: dict[str, Decimal | None] = {part: getattr(change, part) for part in Prices.__slots__}
    return Prices(
        **{part: getattr(prices, part) if price is None else price for part, price in given.items()},
    )


@lru_cache(maxsize=4096)
def _pattern(model: str) -> re.Pattern[str]:
    """Only * and ? are wild: names have brackets, as `claude-sonnet-4[1m]`."""
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(char) or re.escape(char) for char in model), re.IGNORECASE | re.DOTALL)
