"""backtrail-server COMMAND: each command is a module of `commands`.

    **cli** → settings → commands → process, control

What cannot be done is one sentence on stderr and exit code 2.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from backtrail_ingest.errors import InboxUnusable
from backtrail_ingest.receivers.ports import PortInUse
from backtrail_server.commands import (
    backup,
    check,
    keys,
    migrate,
    prices,
    projects,
    quarantine,
    renormalise,
    restore,
    serve,
)
from backtrail_server.errors import CannotStart, CommandFailed
from backtrail_server.settings import Settings, describe, unknown_variables
from backtrail_store.errors import StoreError

COMMANDS = (serve, migrate, renormalise, check, projects, keys, prices, quarantine, backup, restore)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    for library in ("urllib3", "clickhouse_connect"):  # what they log on the way to an error is in the error
        logging.getLogger(library).setLevel(logging.CRITICAL)
    for sentence in unknown_variables(os.environ):
        complain(sentence)
    try:
        return int(options.run(settings_of(options), options))
    except ValidationError as error:
        return complain(describe(error))
    except (CannotStart, CommandFailed, PortInUse, InboxUnusable, StoreError) as error:
        return complain(str(error))
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="backtrail-server", description="A tracing backend for LLM agents.")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return root


def settings_of(options: argparse.Namespace) -> Settings:
    given = {name: value for name, value in vars(options).items() if name in Settings.model_fields}
    return Settings(**{name: value for name, value in given.items() if value is not None})


def complain(sentence: str) -> int:
    print(f"backtrail-server: {sentence}", file=sys.stderr)
    return 2
