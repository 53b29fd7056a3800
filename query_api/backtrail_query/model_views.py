"""Models in use as the API tells them.

store.prices → **model_views** → routes/models.py
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from backtrail_query.models import Time, Usd, View
from backtrail_query.views import JsonObject, rfc3339, usd
from backtrail_store import CurrentPrice, ModelRow, Rate
from backtrail_store.prices.rates import ALWAYS

PARTS = ("input", "output", "cache_read", "cache_write", "reasoning", "input_audio", "output_audio")
EXAMPLE: JsonDict = {
    "provider": "openai",
    "model": "gpt-4o-mini",
    "span_count": 12,
    "usage_count": 12,
    "input_tokens": 48210,
    "output_tokens": 3011,
    "cost_usd": 0.0090381,
    "waiting_count": 0,
    "last_time": "2026-01-01T00:00:00.000000000Z",
    "price": {
        "source": "genai-prices",
        "origin": "genai-prices 0.2.3",
        "valid_from": None,
        "input": 0.15,
        "output": 0.6,
        "cache_read": 0.075,
        "cache_write": 0.15,
        "reasoning": 0.6,
        "input_audio": 0.15,
        "output_audio": 0.6,
        "request": 0,
        "tiers": [],
    },
}


class TierView(View):
    """What all tokens of a call with more input tokens than this cost."""

    above: int
    input: float
    output: float
    cache_read: float
    cache_write: float
    reasoning: float
    input_audio: float
    output_audio: float


class PriceNow(View):
    """US dollars for a million tokens, today and at this hour."""

    source: Literal["user", "genai-prices"]
    origin: Annotated[str, Field(description="the pattern that a user gave, or the package's version")]
    valid_from: Annotated[str | None, Field(description="its first day; null is always")]
    input: float
    output: float
    cache_read: float
    cache_write: float
    reasoning: float
    input_audio: float
    output_audio: float
    request: Annotated[float, Field(description="for each call, beside its tokens")]
    tiers: list[TierView]


class ModelView(View):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    provider: str | None
    model: Annotated[str | None, Field(description="the name its price is looked up by; null where no span says one")]
    span_count: Annotated[int, Field(description="calls; what two spans tell of the same one counts once")]
    usage_count: Annotated[int, Field(description="those that say how many tokens they used")]
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Usd
    waiting_count: Annotated[int, Field(description="those with usage and without a cost: they wait for a price")]
    last_time: Time
    price: Annotated[PriceNow | None, Field(description="what it costs now; null where nobody knows")]


class ModelList(View):
    models: list[ModelView]


def model_view(row: ModelRow) -> JsonObject:
    return {
        "provider": row.provider or None,
        "model": row.model or None,
        "span_count": row.span_count,
        "usage_count": row.usage_count,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost_usd": usd(row.cost_usd),
        "waiting_count": row.waiting_count,
        "last_time": rfc3339(row.last_start_unix_nano),
        "price": None if row.price is None else _price_view(row.price),
    }


def _price_view(price: CurrentPrice) -> JsonObject:
    period = price.period
    return {
        "source": period.source,
        "origin": period.origin,
        "valid_from": None if period.valid_from == ALWAYS else period.valid_from.isoformat(),
        **_rate_view(price.rate),
        "request": usd(price.rate.request),
        "tiers": [{"above": tier.above, **_rate_view(tier)} for tier in price.tiers],
    }


def _rate_view(rate: Rate) -> Mapping[str, float | None]:
    return {part: usd(getattr(rate, part)) for part in PARTS}
