"""backtrail-server restore FILE --data FOLDER: a backup becomes a data folder again.

cli → **restore** → backup.restore
"""

from argparse import Namespace
from pathlib import Path

from backtrail_server.flags import Commands, add_command
from backtrail_server.settings import Settings


def add_to(commands: Commands) -> None:
    parser = add_command(commands, "restore", "make a data folder of a backup", run, ("data",))
    parser.add_argument("file", type=Path, metavar="FILE", help="what `backtrail-server backup` wrote")


def run(settings: Settings, options: Namespace) -> int:
    from backtrail_server.backup.restore import restore
    from backtrail_store import schema_files

    header = restore(options.file, settings.data, known_schema=schema_files())
    print(f"{settings.data}: restored as it was at {header.created_time}; `backtrail-server serve` serves it")
    return 0
