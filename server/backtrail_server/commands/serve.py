"""backtrail-server serve: receive spans and answer questions about them.

cli → **serve** → process
"""

from argparse import Namespace

from backtrail_server.flags import Commands, add_command
from backtrail_server.settings import Settings

SERVE_FLAGS = ("host", "port", "grpc_port", "data", "store", "cluster", "only", "prices")


def add_to(commands: Commands) -> None:
    add_command(commands, "serve", "receive spans and answer questions about them", run, SERVE_FLAGS)


def run(settings: Settings, options: Namespace) -> int:
    from backtrail_server.process import serve

    serve(settings)
    return 0
