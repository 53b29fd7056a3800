"""Flags that are settings: each takes its default and its help from `Settings`.

commands → **flags** → cli → settings

So flag, variable and documentation have one source.
"""

import argparse
from collections.abc import Sequence
from typing import TypeAlias

from backtrail_server.settings import Settings

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

STORE_FLAGS = ("data", "store")


def add_flags(command: argparse.ArgumentParser, names: Sequence[str]) -> None:
    for name in names:
        field = Settings.model_fields[name]
        default = f"default: {field.default}" if str(field.default) else "default: embedded"
        command.add_argument(
            f"--{name.replace('_', '-')}", metavar=name.upper(), help=f"{field.description} ({default})"
        )
