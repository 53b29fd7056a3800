"""backtrail-server migrate: bring the store's schema up to date, while no server owns the folder.

cli → **migrate** → folder, store
"""

from argparse import Namespace

from backtrail_server.flags import STORE_FLAGS, Commands, add_flags
from backtrail_server.settings import Settings


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("migrate", help="bring the store's schema up to date")
    parser.set_defaults(run=run)
    add_flags(parser, STORE_FLAGS)


def run(settings: Settings, options: Namespace) -> int:
    from backtrail_server.folder import keep_temporary_files_in, owned_folder
    from backtrail_store import open_store

    with owned_folder(settings.data) as folder:
        keep_temporary_files_in(folder)
        with open_store(settings.store_dsn) as store:
            applied = store.migrate()
    print("\n".join(f"applied {name}" for name in applied) or "nothing to apply: the schema is current")
    return 0
