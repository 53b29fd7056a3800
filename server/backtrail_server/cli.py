"""backtrail-server serve · migrate · check.

    **cli** → settings → process → app

Each flag takes its default and its help from `Settings`, so flag, variable and documentation have one source.
What cannot be done is one sentence on stderr and exit code 2.
"""

import argparse
import logging
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from backtrail_ingest.errors import InboxUnusable
from backtrail_ingest.ports import PortInUse
from backtrail_server.errors import CannotStart
from backtrail_server.settings import Settings, describe
from backtrail_store.errors import StoreError

SERVE_FLAGS = ("host", "port", "grpc_port", "data", "store")
STORE_FLAGS = ("data", "store")


def main(arguments: Sequence[str] | None = None) -> int:
    options = vars(parser().parse_args(arguments))
    command = options.pop("command")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    for library in ("urllib3", "clickhouse_connect"):  # what they log on the way to an error is in the error
        logging.getLogger(library).setLevel(logging.CRITICAL)
    try:
        return int(command(Settings(**{name: value for name, value in options.items() if value is not None})))
    except ValidationError as error:
        return complain(describe(error))
    except (CannotStart, PortInUse, InboxUnusable, StoreError) as error:
        return complain(str(error))
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="backtrail-server", description="A tracing backend for LLM agents.")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")
    serve_command = commands.add_parser("serve", help="receive spans and answer questions about them")
    serve_command.set_defaults(command=serve)
    add_flags(serve_command, SERVE_FLAGS)
    migrate_command = commands.add_parser("migrate", help="bring the store's schema up to date")
    migrate_command.set_defaults(command=migrate)
    add_flags(migrate_command, STORE_FLAGS)
    check_command = commands.add_parser("check", help="say what is there and whether it works")
    check_command.set_defaults(command=check)
    add_flags(check_command, STORE_FLAGS)
    return root


def add_flags(command: argparse.ArgumentParser, names: Sequence[str]) -> None:
    for name in names:
        field = Settings.model_fields[name]
        default = f"default: {field.default}" if str(field.default) else "default: embedded"
        command.add_argument(
            f"--{name.replace('_', '-')}", metavar=name.upper(), help=f"{field.description} ({default})"
        )


def serve(settings: Settings) -> int:
    from backtrail_server.process import serve

    serve(settings)
    return 0


def migrate(settings: Settings) -> int:
    from backtrail_server.checkup import migrate

    return migrate(settings)


def check(settings: Settings) -> int:
    from backtrail_server.checkup import check

    return check(settings)


def complain(sentence: str) -> int:
    print(f"backtrail-server: {sentence}", file=sys.stderr)
    return 2
