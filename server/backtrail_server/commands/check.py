"""backtrail-server check: say what is there and whether it works, while no server owns the folder.

cli → **check** → folder, store, inbox file
"""

import platform
import sqlite3
from argparse import Namespace
from collections import Counter
from importlib.metadata import version

from backtrail_ingest.inbox_file import InboxFile
from backtrail_ingest.signals import LOGS, TRACES, Signal
from backtrail_server.flags import STORE_FLAGS, Commands, add_flags
from backtrail_server.folder import keep_temporary_files_in, owned_folder
from backtrail_server.settings import Settings


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("check", help="say what is there and whether it works")
    parser.set_defaults(run=run)
    add_flags(parser, STORE_FLAGS)


def run(settings: Settings, options: Namespace) -> int:
    from backtrail_store import open_store

    print(f"backtrail-server {version('backtrail-server')}, Python {platform.python_version()}")
    print(f"SQLite {sqlite3.sqlite_version}, chDB {version('chdb')}")
    with owned_folder(settings.data) as folder:
        keep_temporary_files_in(folder)
        print(f"data folder {folder}: writable, not in use")
        with open_store(settings.store_dsn) as store:
            store.ping()
            print(f"store {without_password(settings.store_dsn)}: answers")
        report_inbox(settings)
    return 0


def report_inbox(settings: Settings) -> None:
    if not settings.inbox_path.exists():
        print("inbox: not there yet")
        return
    inbox = InboxFile(settings.inbox_path, max_bytes=settings.inbox_bytes)
    try:
        counts = inbox.counts()
        print(f"inbox: {in_words(counts.waiting)} waiting in {counts.waiting_requests} requests")
        print(f"quarantine: {in_words(counts.quarantined)} in {counts.quarantined_requests} requests")
        for reason in inbox.quarantine_reasons():
            print(f"  refused: {reason}")
    finally:
        inbox.close()


def in_words(items: Counter[Signal]) -> str:
    return f"{items[TRACES]} spans and {items[LOGS]} log records" if items[LOGS] else f"{items[TRACES]} spans"


def without_password(dsn: str) -> str:
    scheme, separator, rest = dsn.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
