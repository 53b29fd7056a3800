"""backtrail-server quarantine list: the requests that the store refused for good.

cli → **quarantine** → control → admin.quarantine
"""

import asyncio
from argparse import Namespace

from backtrail_server.flags import STORE_FLAGS, Commands, add_flags
from backtrail_server.settings import Settings

ITEMS = {"traces": "spans", "logs": "log records"}


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("quarantine", help="look at the requests that the store refused for good")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    list_parser = actions.add_parser("list", help="say which there are, and why they were refused")
    list_parser.set_defaults(run=run_list)
    add_flags(list_parser, STORE_FLAGS)


def run_list(settings: Settings, options: Namespace) -> int:
    asyncio.run(print_list(settings))
    return 0


async def print_list(settings: Settings) -> None:
    from backtrail_server.control import ask, control_client

    async with control_client(settings) as client:
        requests = (await ask(client, "GET", "/api/v1/quarantine"))["requests"]
    for request in requests:
        items = f"{request['item_count']} {ITEMS[request['signal']]}"
        print(f"{request['id']}: project {request['project']}, {items}: {request['reason']}")
    if not requests:
        print("nothing is in quarantine")
