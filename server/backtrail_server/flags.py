"""Flags that are settings: each takes its default and its help from `Settings`.

commands → **flags** → cli → settings

So flag, variable and documentation have one source.
"""

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TypeAlias, get_args

from backtrail_server.settings import Settings

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

Run: TypeAlias = Callable[[Settings, argparse.Namespace], int]

STORE_FLAGS = ("data", "store", "cluster")


def add_command(
    commands: Commands, name: str, help_: str, run: Run, flags: Sequence[str] = STORE_FLAGS
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help_, description=help_)
    parser.set_defaults(run=run)
    add_flags(parser, flags)
    return parser


def add_group(commands: Commands, name: str, help_: str) -> Commands:
    """A command that has commands of its own."""
    parser = commands.add_parser(name, help=help_, description=help_)
    return parser.add_subparsers(title="actions", required=True, metavar="ACTION")


def add_flags(command: argparse.ArgumentParser, names: Sequence[str]) -> None:
    for name in names:
        field = Settings.model_fields[name]
        default = f" (default: {field.default})" if str(field.default) else ""
        choices = [choice for choice in get_args(field.annotation) if choice]
        command.add_argument(
            f"--{name.replace('_', '-')}",
            metavar="|".join(choices) or name.upper(),
            help=f"{field.description}{default}",
        )


def add_action(
    actions: Commands, name: str, help_: str, do: Callable[[Settings, argparse.Namespace], Coroutine[None, None, None]]
) -> argparse.ArgumentParser:
    """One of a group; `do` asks the server that owns the data folder."""

    def run(settings: Settings, options: argparse.Namespace) -> int:
        asyncio.run(do(settings, options))
        return 0

    return add_command(actions, name, help_, run)
