"""`migrate` and `check`: the same parts as the server's, opened for a moment while no server owns the folder.

cli → **checkup** → folder, store, inbox file
"""

import platform
import sqlite3
from importlib.metadata import version

from backtrail_ingest.inbox_file import InboxFile
from backtrail_server.folder import keep_temporary_files_in, owned_folder
from backtrail_server.settings import Settings
from backtrail_store import open_store


def migrate(settings: Settings) -> int:
    with owned_folder(settings.data) as folder:
        keep_temporary_files_in(folder)
        with open_store(settings.store_dsn) as store:
            applied = store.migrate()
    print("\n".join(f"applied {name}" for name in applied) or "nothing to apply: the schema is current")
    return 0


def check(settings: Settings) -> int:
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
        print(f"inbox: {counts.waiting_spans} spans waiting in {counts.waiting_requests} requests")
        print(f"quarantine: {counts.quarantined_spans} spans in {counts.quarantined_requests} requests")
        for reason in inbox.quarantine_reasons():
            print(f"  refused: {reason}")
    finally:
        inbox.close()


def without_password(dsn: str) -> str:
    scheme, separator, rest = dsn.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
