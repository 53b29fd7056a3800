"""Flags that are settings: each takes its default and its help from `Settings`.

commands → **flags** → cli → settings

So flag, variable and documentation have one source.
"""

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TypeAlias

from backtrail_server.settings import Settings

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

STORE_FLAGS = ("data", "store", "cluster")


def add_flags(command: argparse.ArgumentParser, names: Sequence[str]) -> None:
    for name in names:
        field = Settings.model_fields[name]
        default = f" (default: {field.default})" if str(field.default) else ""
        command.add_argument(f"--{name.replace('_', '-')}", metavar=name.upper(), help=f"{field.description}{default}")


def add_action(
    actions: Commands, name: str, help_: str, do: Callable[[Settings, argparse.Namespace], Coroutine[None, None, None]]
) -> argparse.ArgumentParser:
    """One of a command's own commands; `do` asks the server that owns the data folder."""

    def run(settings: Settings, options: argparse.Namespace) -> int:
        asyncio.run(do(settings, options))
        return 0

    parser = actions.add_parser(name, help=help_, description=help_)
    parser.set_defaults(run=run)
    add_flags(parser, STORE_FLAGS)
    return parser
