"""backtrail-server quarantine list · show · retry · drop: the requests that the store refused for good.

cli → **quarantine** → control → admin.quarantine
"""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any

from backtrail_server.flags import Commands, add_action, add_group
from backtrail_server.settings import Settings

PATH = "/api/v1/quarantine"
ITEMS = {"traces": "spans", "logs": "log records"}


def add_to(commands: Commands) -> None:
    actions = add_group(commands, "quarantine", "look at the requests that the store refused for good")
    add_action(actions, "list", "say which there are, and why they were refused", list_all)
    show_parser = add_action(actions, "show", "say what is in one", show)
    show_parser.add_argument("id", type=number, help="from `quarantine list`")
    which(add_action(actions, "retry", "give one to the store again, or all", retry))
    which(add_action(actions, "drop", "throw one away for good, or all", drop))


def which(parser: ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("id", type=number, nargs="?", help="from `quarantine list`")
    group.add_argument("--all", action="store_true", help="all that are in quarantine")


def number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ArgumentTypeError(f"{text!r} is no number of a request: see `quarantine list`")
    return int(text)


async def list_all(settings: Settings, options: Namespace) -> None:
    requests = (await asked(settings, "GET", PATH))["requests"]
    print("\n".join(f"{request['id']}: {line(request)}" for request in requests) or "nothing is in quarantine")


async def show(settings: Settings, options: Namespace) -> None:
    request = await asked(settings, "GET", f"{PATH}/{options.id}")
    print(line(request))
    print(f"received {request['received_time']}, refused {request['quarantined_time']}, {request['size']} bytes")
    if request["is_damaged"]:
        print("damaged: its bytes are not those that came in")
    elif request["names"]:
        print("\n".join(f"  {name}" for name in request["names"]))
    else:
        print("it cannot be decoded")


async def retry(settings: Settings, options: Namespace) -> None:
    path = f"{PATH}/retry" if options.all else f"{PATH}/{options.id}/retry"
    said("given to the store again", await asked(settings, "POST", path))


async def drop(settings: Settings, options: Namespace) -> None:
    said("dropped", await asked(settings, "DELETE", PATH if options.all else f"{PATH}/{options.id}"))


async def asked(settings: Settings, method: str, path: str) -> Any:
    from backtrail_server.control import ask, control_client

    async with control_client(settings) as client:
        return await ask(client, method, path)


def said(what: str, released: dict[str, list[int]]) -> None:
    ids = ", ".join(map(str, released["ids"]))
    print(f"{what}: {ids or 'nothing'}")


def line(request: dict[str, str]) -> str:
    items = f"{request['item_count']} {ITEMS[request['signal']]}"
    return f"project {request['project']}, {items}: {request['reason']}"
