"""backtrail-server projects create · list · set · delete.

cli → **projects** → control → admin.projects
"""

from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from typing import Any

from backtrail_server.errors import CommandFailed
from backtrail_server.flags import Commands, add_action, add_group
from backtrail_server.settings import Settings

AS_THE_SERVER = "default"


def add_to(commands: Commands) -> None:
    actions = add_group(commands, "projects", "make, list, set and delete projects")
    add_action(actions, "create", "make a project", create).add_argument("name")
    add_action(actions, "list", "say which there are", show)
    set_ = add_action(actions, "set", "say how long a project keeps its spans and texts", change)
    set_.add_argument("name")
    for what in ("spans", "contents"):
        set_.add_argument(
            f"--{what}-days",
            dest=f"own_{what}_days",  # not the server's setting of that name
            metavar="DAYS",
            help="0: for ever; default: as the server's settings say",
            type=days,
        )
    add_action(actions, "delete", "revoke a project's keys and drop all it holds", delete).add_argument("name")


async def create(settings: Settings, options: Namespace) -> None:
    from backtrail_server.control import ask, control_client

    async with control_client(settings) as client:
        project = await ask(client, "POST", "/api/v1/projects", json={"name": options.name})
    name = project["name"]
    print(
        f"project {name} is there; "
        f"`backtrail-server keys create --project {name} --scope ingest --scope read --name NAME` makes a key for it"
    )


async def show(settings: Settings, options: Namespace) -> None:
    from backtrail_server.control import ask, control_client

    async with control_client(settings) as client:
        for project in (await ask(client, "GET", "/api/v1/projects"))["projects"]:
            print(project["name"] + kept(project))


async def change(settings: Settings, options: Namespace) -> None:
    from backtrail_server.control import ask, control_client, path_of

    given = {"spans_days": options.own_spans_days, "contents_days": options.own_contents_days}
    wanted = {name: None if value == AS_THE_SERVER else value for name, value in given.items() if value is not None}
    if not wanted:
        raise CommandFailed("nothing to set; say --spans-days DAYS, --contents-days DAYS, or both")
    async with control_client(settings) as client:
        project = await ask(client, "PATCH", path_of("/api/v1/projects", options.name), json=wanted)
    print(f"project {project['name']}{kept(project) or ': kept as the server is set'}")


def days(text: str) -> int | str:
    if text == AS_THE_SERVER:
        return text
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no number of days; write 30, 0 for ever, or {AS_THE_SERVER}")
    return int(text)


def kept(project: Mapping[str, Any]) -> str:
    """Nothing where the project says nothing itself."""
    named = {"spans": project["spans_days"], "texts": project["contents_days"]}
    said = [f"{what} {f'{count} days' if count else 'for ever'}" for what, count in named.items() if count is not None]
    return f": {', '.join(said)}" if said else ""


async def delete(settings: Settings, options: Namespace) -> None:
    from backtrail_server.control import ask, control_client, path_of

    async with control_client(settings) as client:
        await ask(client, "DELETE", path_of("/api/v1/projects", options.name))
    print(f"project {options.name} is deleted with all it held, and its keys are revoked")
