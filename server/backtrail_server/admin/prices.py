"""/api/v1/prices: what models cost by a user's own word, for a project or for all.

commands.prices → **prices** → given_prices → store.prices

A project's admin sees everybody's prices and changes those of the project; the server's admin changes all.
"""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from backtrail_query.errors import NotFound, QueryError
from backtrail_query.models import Problem
from backtrail_server.admin.audit import record
from backtrail_server.admin.projects import ProjectNotFound
from backtrail_server.auth.grant import Grant
from backtrail_server.given_prices import PARTS, Day, GivenPrice, GivenTier
from backtrail_store import PriceRule, Store
from backtrail_store.prices.rates import ALWAYS

router = APIRouter(
    prefix="/api/v1/prices",
    tags=["administration"],
    responses={status: {"model": Problem} for status in (401, 403, 404, 422)},
)

Whose = Annotated[str | None, Query(description="a project; without it the key's own, of the server's key all")]


class PriceNotFound(NotFound):
    """No user has given such a price."""


class PriceIsInTheFile(QueryError):
    status = 409
    title = "The price is in a file"


class PriceView(GivenPrice):
    origin: Literal["set", "file"]


class NewPrices(BaseModel):
    prices: Annotated[list[GivenPrice], Field(min_length=1, max_length=10_000)]


class PriceList(BaseModel):
    prices: list[PriceView]


@router.get("")
def list_prices(request: Request, project: Whose = None) -> PriceList:
    """Those that users gave, in the order of their names; what genai-prices says is under /api/v1/models."""
    grant: Grant = request.state.grant
    rules = store_of(request).prices.list()
    if project is not None or not grant.is_server:
        visible = ("", whose(request, project))
        rules = [rule for rule in rules if rule.project in visible]
    return PriceList(prices=[price_view(rule) for rule in rules])


@router.put("", responses={409: {"model": Problem}})
def put_prices(new: NewPrices, request: Request) -> PriceList:
    """All of them or none. Each takes the place of one of the same model, provider, project and day; they count at
    once, for the past too."""
    prices = store_of(request).prices
    rules = [price.rule(whose(request, price.project)) for price in new.prices]
    known = {rule.identity: rule for rule in prices.list()}
    refuse_those_in_the_file([known[rule.identity] for rule in rules if rule.identity in known])
    prices.put({rule.identity: rule for rule in rules}.values())
    for rule in rules:
        record(request, f"price of {described(rule)} set")
    return PriceList(prices=[price_view(rule) for rule in rules])


@router.delete("", responses={409: {"model": Problem}})
def delete_prices(
    request: Request,
    model: Annotated[str, Query(min_length=1, description="as it was given, with its * and ?")],
    provider: Annotated[str | None, Query(description="without it the price for any provider")] = None,
    project: Whose = None,
    valid_from: Annotated[Day, Query(description="without it those of all days")] = None,
) -> PriceList:
    prices = store_of(request).prices
    wanted = (whose(request, project), provider or "", model)
    rules = [rule for rule in prices.list() if rule.identity[:3] == wanted and valid_from in (None, rule.valid_from)]
    if not rules:
        raise PriceNotFound(f"nobody has given a price of {described_as(*wanted, valid_from or ALWAYS)}")
    refuse_those_in_the_file(rules)
    prices.remove(rules)
    for rule in rules:
        record(request, f"price of {described(rule)} removed")
    return PriceList(prices=[price_view(rule) for rule in rules])


def refuse_those_in_the_file(rules: list[PriceRule]) -> None:
    for rule in rules:
        if rule.origin == "file":
            raise PriceIsInTheFile(
                f"the price of {described(rule)} stands in the file that the server reads (BACKTRAIL_PRICES): "
                "change it there"
            )


def whose(request: Request, project: str | None) -> str:
    """The project whose prices are meant, '' for all. Raises ProjectNotFound, also for what is none of the caller's."""
    grant: Grant = request.state.grant
    if project is None:
        return "" if grant.is_server else grant.project
    if not grant.covers(project) or store_of(request).projects.get(project) is None:
        raise ProjectNotFound(project)
    return project


def store_of(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def price_view(rule: PriceRule) -> PriceView:
    return PriceView(
        model=rule.model,
        provider=rule.provider or None,
        project=rule.project or None,
        valid_from=None if rule.valid_from == ALWAYS else rule.valid_from,
        origin=rule.origin,
        tiers=[
            GivenTier(above=tier.above, **{part: getattr(tier.prices, part) for part in PARTS if part != "request"})
            for tier in rule.tiers
        ],
        **{part: getattr(rule.prices, part) for part in PARTS},
    )


def described(rule: PriceRule) -> str:
    return described_as(*rule.identity)


def described_as(project: str, provider: str, model: str, valid_from: date) -> str:
    return (
        f"{model!r}"
        + (f" of {provider}" if provider else "")
        + (f" for project {project}" if project else " for all projects")
        + (f" from {valid_from}" if valid_from != ALWAYS else "")
    )
