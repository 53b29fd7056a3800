"""backtrail-server prices list · set · remove · import: what models cost by one's own word.

cli → **prices** → control → admin.prices
"""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from backtrail_server.flags import Commands, add_action, add_group
from backtrail_server.settings import Settings

PARTS = {
    "cache_read": "tokens read from the cache (default: as input)",
    "cache_write": "tokens written to the cache (default: as input)",
    "reasoning": "reasoning (default: as output)",
    "input_audio": "spoken input (default: as input)",
    "output_audio": "spoken output (default: as output)",
}
PATH = "/api/v1/prices"


def add_to(commands: Commands) -> None:
    actions = add_group(commands, "prices", "list, set and remove prices of your own")
    add_action(actions, "list", "say which there are", show).add_argument(
        "--project", help="only those that count in this project"
    )
    set_ = add_action(actions, "set", "say what a model costs, in US dollars for a million tokens", change)
    add_which(set_)
    for part in ("input", "output"):
        set_.add_argument(f"--{part}", type=amount, required=True, metavar="USD", help=f"{part} tokens")
    for part, help_ in PARTS.items():
        set_.add_argument(f"--{part.replace('_', '-')}", type=amount, metavar="USD", help=help_)
    set_.add_argument("--request", type=amount, metavar="USD", help="each call, beside its tokens")
    set_.add_argument(
        "--tier",
        action="append",
        type=tier,
        default=[],
        metavar="TOKENS:PART=USD,…",
        help="for all tokens of a call with more input than this; may be given several times",
    )
    add_which(add_action(actions, "remove", "forget a price that was set", remove))
    import_ = add_action(actions, "import", "set all prices of a file, as BACKTRAIL_PRICES takes them", import_file)
    import_.add_argument("file", metavar="FILE.yaml", type=Path)


def add_which(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a name, or a pattern with * and ?")
    parser.add_argument("--provider", help="as spans say it, azure.ai.openai for example (default: any)")
    parser.add_argument("--project", help="default: all projects")
    parser.add_argument("--valid-from", type=day, metavar="2026-01-31", help="the first day (default: always)")


async def show(settings: Settings, options: Namespace) -> None:
    from backtrail_server.control import ask, control_client

    params = {"project": options.project} if options.project else {}
    async with control_client(settings) as client:
        prices = (await ask(client, "GET", PATH, params=params))["prices"]
    print("\n".join(map(line, prices)) or "nobody has set a price: those of genai-prices count")


async def change(settings: Settings, options: Namespace) -> None:
    price = {
        **which(options),
        "tiers": options.tier,
        **{
            part: str(said)
            for part in ("input", "output", *PARTS, "request")
            if (said := getattr(options, part)) is not None
        },
    }
    await put(settings, [price])


async def import_file(settings: Settings, options: Namespace) -> None:
    from backtrail_server.price_file import read_prices

    prices = read_prices(options.file)
    if not prices:
        print(f"there are no prices in {options.file}")
        return
    # Not as JSON numbers: these would go through a float.
    await put(settings, [price.model_dump(exclude_none=True) for price in prices])


async def put(settings: Settings, prices: list[dict[str, Any]]) -> None:
    from pydantic_core import to_json

    from backtrail_server.control import ask, control_client

    headers = {"Content-Type": "application/json"}
    async with control_client(settings) as client:
        answer = await ask(client, "PUT", PATH, content=to_json({"prices": prices}), headers=headers)
    print("\n".join(map(line, answer["prices"])))


async def remove(settings: Settings, options: Namespace) -> None:
    from backtrail_server.control import ask, control_client

    async with control_client(settings) as client:
        removed = (await ask(client, "DELETE", PATH, params=which(options)))["prices"]
    print("\n".join(f"removed: {line(price)}" for price in removed))


def which(options: Namespace) -> dict[str, str]:
    given = {
        "model": options.model,
        "provider": options.provider,
        "project": options.project,
        "valid_from": options.valid_from and options.valid_from.isoformat(),
    }
    return {name: value for name, value in given.items() if value is not None}


def amount(text: str) -> Decimal:
    try:
        found = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        raise ArgumentTypeError(f"{text!r} is no amount: write US dollars for a million tokens, as 2.50") from None
    if not found.is_finite() or found < 0:
        raise ArgumentTypeError(f"{text!r} is no price: it is 0 or more")
    return found


def tier(text: str) -> dict[str, str | int]:
    above, _, said = text.partition(":")
    parts = dict(part.partition("=")[::2] for part in said.split(","))
    names = {name.replace("-", "_"): usd for name, usd in parts.items()}
    known = {"input", "output", *PARTS}
    if not above.isdecimal() or not said or names.keys() - known:
        raise ArgumentTypeError(f"{text!r} is no tier: write 200000:input=5,output=20")
    return {"above": int(above), **{name: str(amount(usd)) for name, usd in names.items()}}


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no day: write 2026-01-31") from None


def line(price: Mapping[str, Any]) -> str:
    where = f"project {price['project']}" if price["project"] else "all projects"
    of = f" of {price['provider']}" if price["provider"] else ""
    since = f" from {price['valid_from']}" if price["valid_from"] else ""
    tiers = "".join(f"; above {tier['above']:,} tokens {amounts(tier)}" for tier in price["tiers"])
    file = "  (from the file)" if price["origin"] == "file" else ""
    return f"{price['model']}{of}  {where}{since}: {amounts(price)}{tiers}{file}"


def amounts(price: Mapping[str, Any]) -> str:
    parts = ("input", "output", *PARTS, "request")
    said = [f"{part.replace('_', ' ')} {dollars(price[part])}" for part in parts if price.get(part) is not None]
    return ", ".join(said) or "the same"


def dollars(number: float) -> str:
    text = f"{number:.12f}".rstrip("0")
    whole, _, fraction = text.partition(".")
    return f"${int(whole):,}.{fraction.ljust(2, '0')}"
