"""backtrail-server projects create · list · delete.

cli → **projects** → control → admin.projects
"""

from argparse import Namespace

from backtrail_server.flags import Commands, add_action
from backtrail_server.settings import Settings


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("projects", help="make, list and delete projects")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    add_action(actions, "create", "make a project", create).add_argument("name")
    add_action(actions, "list", "say which there are", show)
    add_action(actions, "delete", "revoke a project's keys and drop all it holds", delete).add_argument("name")


async def create(settings: Settings, options: Namespace) -> None:
    from backtrail_server.control import ask, control_client

    async with control_client(settings) as client:
        project = await ask(client, "POST", "/api/v1/projects", json={"name": options.name})
    print(f"project {project['name']} is there; `backtrail-server keys create --project {project['name']}` opens it")


async def show(settings: Settings, options: Namespace) -> None:
    from backtrail_server.control import ask, control_client

    async with control_client(settings) as client:
        for project in (await ask(client, "GET", "/api/v1/projects"))["projects"]:
            print(project["name"])


async def delete(settings: Settings, options: Namespace) -> None:
    from backtrail_server.control import ask, control_client, path_of

    async with control_client(settings) as client:
        await ask(client, "DELETE", path_of("/api/v1/projects", options.name))
    print(f"project {options.name} is deleted with all it held, and its keys are revoked")
