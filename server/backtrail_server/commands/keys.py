"""backtrail-server keys create · list · revoke.

cli → **keys** → control → admin.keys

`create` prints the key and nothing else on stdout, so that a script can keep it; what is said about it is on stderr.
"""

import re
import sys
from argparse import ArgumentTypeError, Namespace
from datetime import UTC, datetime, timedelta

from backtrail_server.errors import CommandFailed
from backtrail_server.flags import Commands, add_action, add_group
from backtrail_server.settings import Settings
from backtrail_store import DEFAULT_PROJECT, SCOPES

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def add_to(commands: Commands) -> None:
    actions = add_group(commands, "keys", "make, list and revoke the keys that open projects")
    create_parser = add_action(actions, "create", "make a key, and show it this once", create)
    whose = create_parser.add_mutually_exclusive_group()
    whose.add_argument("--project", default=DEFAULT_PROJECT, help="the project it opens (default: %(default)s)")
    whose.add_argument("--server", action="store_true", help="a key that administers the server instead")
    create_parser.add_argument(
        "--scope", action="append", choices=SCOPES, default=[], help="what it is good for; may be given several times"
    )
    create_parser.add_argument("--name", required=True, help="what it is for, in lists and in the log")
    create_parser.add_argument("--expires", type=duration, metavar="90d", help="in how many m, h or d (default: never)")
    add_action(actions, "list", "say which there are", show)
    add_action(actions, "revoke", "make a key worthless at once", revoke).add_argument("id", help="from `keys list`")


def duration(text: str) -> timedelta:
    said = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if said is None:
        raise ArgumentTypeError(f"{text!r} is no length of time: write 30m, 12h or 90d")
    return timedelta(**{_UNITS[said[2]]: int(said[1])})


async def create(settings: Settings, options: Namespace) -> None:
    from backtrail_server.control import ask, control_client, path_of

    if not (options.server or options.scope):
        raise CommandFailed("say what the key is good for: --scope ingest, --scope read, --scope admin, or --server")
    if options.server and options.scope:
        raise CommandFailed("a key of the server administers it and nothing else: leave --scope out")
    expires = (datetime.now(UTC) + options.expires).isoformat() if options.expires else None
    new: dict[str, object] = {"name": options.name, "expires_time": expires}
    if options.server:
        path = "/api/v1/keys"
    else:
        path = path_of("/api/v1/projects", options.project, "keys")
        new["scopes"] = options.scope
    async with control_client(settings) as client:
        key = await ask(client, "POST", path, json=new)
    print(key["key"])
    print(f"This key is not shown again. {line(key)}", file=sys.stderr)


async def show(settings: Settings, options: Namespace) -> None:
    from backtrail_server.control import ask, control_client

    async with control_client(settings) as client:
        keys = (await ask(client, "GET", "/api/v1/keys"))["keys"]
    print("\n".join(line(key) for key in keys) or "there are no keys: whoever reaches this server may read and write")


async def revoke(settings: Settings, options: Namespace) -> None:
    from backtrail_server.control import ask, control_client, path_of

    async with control_client(settings) as client:
        print(line(await ask(client, "DELETE", path_of("/api/v1/keys", options.id))))


def line(key: dict[str, str]) -> str:
    whose = f"project {key['project']}" if key["project"] else "the server"
    state = f"{key['state']} {day(key['revoked_time'])}" if key["revoked_time"] else key["state"]
    until = f", expires {day(key['expires_time'])}" if key["expires_time"] else ""
    return f"{key['id']}  {key['prefix']}…  {whose}: {', '.join(key['scopes'])}  {key['name']}  ({state}{until})"


def day(moment: str) -> str:
    return moment[:16].replace("T", " ")
