"""backtrail-server serve: receive spans and answer questions about them.

cli → **serve** → process
"""

from argparse import Namespace

from backtrail_server.flags import Commands, add_flags
from backtrail_server.settings import Settings

SERVE_FLAGS = ("host", "port", "grpc_port", "data", "store", "cluster", "only")


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("serve", help="receive spans and answer questions about them")
    parser.set_defaults(run=run)
    add_flags(parser, SERVE_FLAGS)


def run(settings: Settings, options: Namespace) -> int:
    from backtrail_server.process import serve

    serve(settings)
    return 0
