"""What the price table holds: for a model's name, from each day on, what a million tokens of it cost.

package, rules → **rates** → table → model_prices
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

PriceSource = Literal["user", "genai-prices"]

Name = tuple[str, str]  # provider and model, as spans say them
Row = tuple[str, Name]  # whose word, about which name: a project's under its own name, and
EVERYBODY = "*"
PACKAGE = ""

ALWAYS = date(1970, 1, 1)
DAY_SECONDS = 86_400
DECIMALS = 12  # of a price; some of the package's are divided by three somewhere, and have eighteen


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """US dollars for a million tokens, and for a request, in this part of the day (UTC) and above so many input tokens.

    Every part has its price: what is priced as something else says the same as that.
    """

    begins: int = 0  # second of the day
    ends: int = DAY_SECONDS
    above: int = -1
    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    reasoning: Decimal
    input_audio: Decimal
    output_audio: Decimal
    request: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From a day until the next period's. Of the rates the last one that fits counts; the first fits always."""

    valid_from: date
    source: PriceSource
    origin: str  # the package's version, or the pattern that a user gave
    rates: tuple[Rate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Of one million tokens, as they are given: what is None is priced as something else."""

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    input_audio: Decimal | None = None
    output_audio: Decimal | None = None
    request: Decimal | None = None


def rate_of(prices: Prices, *, above: int = -1, begins: int = 0, ends: int = DAY_SECONDS) -> Rate:
    """Cached and spoken tokens without a price of their own are charged as the others, and so is reasoning."""
    nothing = Decimal(0)
    input_, output = prices.input or nothing, prices.output or nothing

    def own(price: Decimal | None, else_: Decimal) -> Decimal:
        return round(else_ if price is None else price, DECIMALS)

    return Rate(
        begins=begins,
        ends=ends,
        above=above,
        input=own(input_, nothing),
        output=own(output, nothing),
        cache_read=own(prices.cache_read, input_),
        cache_write=own(prices.cache_write, input_),
        reasoning=own(prices.reasoning, output),
        input_audio=own(prices.input_audio, input_),
        output_audio=own(prices.output_audio, output),
        request=own(prices.request, nothing),
    )


def by_day(periods: Sequence[Period]) -> Iterator[Period]:
    """Without those that only say again what counted before."""
    last: Period | None = None
    for period in periods:
        if last is None or (period.rates, period.origin, period.source) != (last.rates, last.origin, last.source):
            yield period
        last = period
