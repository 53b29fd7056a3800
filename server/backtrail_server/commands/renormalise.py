"""backtrail-server renormalise: read stored spans anew, after the rules that make columns of attributes have changed.

cli → **renormalise** → control → admin.renormalisation
"""

import asyncio
from argparse import ArgumentTypeError, Namespace
from typing import Any

from backtrail_server.flags import Commands, add_command
from backtrail_server.settings import Settings


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "renormalise",
        "make the columns of stored spans anew from their attributes, as the rules of this version say; "
        "stopped at any moment, it goes on where it was",
        run,
    )
    parser.add_argument(
        "--since",
        type=moment,
        metavar="TIME",
        help="only spans that began at or after this: 2026-01-31, 2026-01-31T12:00:00Z or unix time (default: all)",
    )


def moment(text: str) -> str:
    """As the API takes it; a day is its beginning in UTC."""
    from backtrail_query.errors import BadParameter
    from backtrail_query.params import parse_time

    whole = f"{text}T00:00:00Z" if text.count("-") == 2 and "T" not in text and ":" not in text else text
    try:
        parse_time("--since", whole)
    except BadParameter as error:
        raise ArgumentTypeError(str(error)) from error
    return whole


def run(settings: Settings, options: Namespace) -> int:
    asyncio.run(renormalise(settings, options.since))
    return 0


async def renormalise(settings: Settings, since: str | None) -> None:
    from backtrail_server.control import ask, control_client

    async with control_client(settings) as client:
        start = {"start": since} if since else {}
        hours = (await ask(client, "GET", "/api/v1/renormalisation", params=start))["hours"]
        waiting = [hour for hour in hours if not hour["is_done"]]
        if not waiting:
            print("nothing to do: the columns of all spans are what this version's rules make of them")
            return
        await renormalise_hours(client, waiting)
    spans = sum(hour["spans"] for hour in waiting)
    print(f"{spans:,} span{'' if spans == 1 else 's'} read anew")


async def renormalise_hours(client: Any, hours: list[Any]) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from backtrail_server.control import ask

    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("spans", total=sum(hour["spans"] for hour in hours))
        for hour in hours:
            progress.update(bar, description=f"{hour['project']}, {hour['hour'][:13].replace('T', ' ')} h")
            await ask(
                client, "POST", "/api/v1/renormalisation", json={name: hour[name] for name in ("project", "hour")}
            )
            progress.advance(bar, hour["spans"])
