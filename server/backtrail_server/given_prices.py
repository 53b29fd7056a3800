"""A price as somebody gives it, over the API or in a file: checked here, the same for both.

admin.prices, price_file → **given_prices** → store.prices
"""

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, field_validator

from backtrail_store import PriceRule, Prices, Tier
from backtrail_store.prices.rates import ALWAYS, DECIMALS

LAST_DAY = date(2149, 6, 6)  # that ClickHouse knows
MOST = 1_000_000

ProjectName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
        description="1 to 63 letters, digits, points, hyphens and underscores",
    ),
]
# As a number in JSON, in a schema and in an answer.
Amount = Annotated[
    Decimal,
    Field(ge=0, le=MOST, decimal_places=DECIMALS, allow_inf_nan=False),
    PlainSerializer(float, return_type=float, when_used="json"),
]
OfInput = Annotated[Amount | None, Field(description="null: as input")]
OfOutput = Annotated[Amount | None, Field(description="null: as output")]
ModelPattern = Annotated[
    str, Field(min_length=1, max_length=300, description="a name, or a pattern with * and ?", examples=["gpt-4o*"])
]
Day = Annotated[date | None, Field(ge=ALWAYS, le=LAST_DAY, description="the first day (UTC); null is always")]

PARTS = tuple(Prices.__dataclass_fields__)


class GivenTier(BaseModel):
    """What all tokens of a call with more input tokens than this cost; what is left out is as below it."""

    model_config = ConfigDict(extra="forbid")

    above: Annotated[int, Field(ge=0, le=2**32, description="input tokens, cached ones included")]
    input: Amount | None = None
    output: Amount | None = None
    cache_read: Amount | None = None
    cache_write: Amount | None = None
    reasoning: Amount | None = None
    input_audio: Amount | None = None
    output_audio: Amount | None = None


class GivenPrice(BaseModel):
    """US dollars for a million tokens, and for a request."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"model": "gpt-4o*", "provider": "azure.ai.openai", "input": 2, "output": 8}]},
    )

    model: ModelPattern
    provider: Annotated[str | None, Field(min_length=1, max_length=300, description="null: any")] = None
    project: Annotated[ProjectName | None, Field(description="null: the key's own, of the server's key all")] = None
    valid_from: Day = None
    input: Amount
    output: Amount
    cache_read: OfInput = None
    cache_write: OfInput = None
    reasoning: OfOutput = None
    input_audio: OfInput = None
    output_audio: OfOutput = None
    request: Annotated[Amount | None, Field(description="for each call, beside its tokens")] = None
    tiers: list[GivenTier] = []

    @field_validator("model", "provider")
    @classmethod
    def printable(cls, name: str | None) -> str | None:
        if name is not None and (not name.isprintable() or name != name.strip()):
            raise ValueError(f"{name!r} has characters around it or in it that cannot be seen")
        return name

    @field_validator("tiers")
    @classmethod
    def each_begins_elsewhere(cls, tiers: list[GivenTier]) -> list[GivenTier]:
        if len({tier.above for tier in tiers}) < len(tiers):
            raise ValueError("two tiers begin above the same number of tokens")
        return tiers

    def rule(self, project: str) -> PriceRule:
        return PriceRule(
            project=project,
            provider=self.provider or "",
            model=self.model,
            valid_from=self.valid_from or ALWAYS,
            prices=Prices(**{part: getattr(self, part) for part in PARTS}),
            tiers=tuple(
                Tier(above=tier.above, prices=Prices(**tier.model_dump(exclude={"above"}))) for tier in self.tiers
            ),
        )
