"""backtrail-server migrate: bring the store's schema up to date, or print what that would take.

cli → **migrate** → folder (of an embedded store), store

A server does this when it starts. By hand it is for a cluster, and for a user with rights that the server has not.
"""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from backtrail_server.flags import Commands, add_command
from backtrail_server.settings import Settings


def add_to(commands: Commands) -> None:
    parser = add_command(commands, "migrate", "bring the store's schema up to date", run)
    parser.add_argument(
        "--print",
        action="store_true",
        dest="only_prints",
        help="print every statement as SQL for clickhouse-client, without a password, and touch nothing",
    )


def run(settings: Settings, options: Namespace) -> int:
    from backtrail_store import open_store, parse_address, print_schema

    if options.only_prints:
        print("\n".join(print_schema(parse_address(settings.store_dsn, cluster=settings.cluster))), end="")
        return 0
    with owned_if_embedded(settings), open_store(settings.store_dsn, cluster=settings.cluster) as store:
        applied = store.migrate()
    print("\n".join(f"applied {name}" for name in applied) or "nothing to apply: the schema is current")
    return 0


@contextmanager
def owned_if_embedded(settings: Settings) -> Iterator[None]:
    """The schema of a server may be changed while others use it."""
    from backtrail_server.folder import keep_temporary_files_in, owned_folder
    from backtrail_store import is_embedded

    if not is_embedded(settings.store_dsn):
        yield
        return
    with owned_folder(settings.data) as folder:
        keep_temporary_files_in(folder)
        yield
