"""What is there and whether it works, for programs and for people: the same for a running server and for a folder.

readiness, settings, inbox, store → **checkup** → admin.check → commands.check
"""

import asyncio
import platform
import shutil
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version

from pydantic import BaseModel

from backtrail_ingest import Inbox
from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_ingest.signals import LOGS, TRACES
from backtrail_server.auth.keyring import KeyRing
from backtrail_server.file_system import file_system_of
from backtrail_server.readiness import Finding, Readiness
from backtrail_server.settings import Settings
from backtrail_store import Store, without_password

WAL_RESET_FIXED = (3, 51, 3)


class Versions(BaseModel):
    backtrail: str
    python: str
    sqlite: str
    chdb: str
    clickhouse: str | None  # None while the store does not say


class Folder(BaseModel):
    path: str
    file_system: str | None
    free_bytes: int


class InboxCheck(BaseModel):
    used_bytes: int
    waiting_requests: int
    waiting_spans: int
    waiting_log_records: int
    quarantined_requests: int
    quarantined_spans: int
    quarantined_log_records: int
    quarantine_reasons: list[str]


class Checkup(BaseModel):
    status: str
    reasons: list[Finding]
    versions: Versions
    folder: Folder
    store: str
    keys: int | None  # those that are good now; None if the store does not say
    tls: bool
    inbox: InboxCheck | None  # None while it does not answer
    max_inbox_bytes: int


async def look(
    settings: Settings, readiness: Readiness, *, store: Store, inbox: Inbox, keyring: KeyRing | None
) -> Checkup:
    """Comes back in seconds, whatever hangs: what did not answer the first question is not asked a second."""
    report = await readiness.report()
    ailing = {finding.part for finding in report.findings if finding.stops_work}
    clickhouse = None if "store" in ailing else (await asyncio.to_thread(store.health)).version
    seen = None if "inbox" in ailing else await asyncio.to_thread(inbox.ask, inbox_check)
    return Checkup(
        status=report.status,
        reasons=list(report.findings),
        versions=versions(clickhouse),
        folder=Folder(
            path=str(settings.data),
            file_system=file_system_of(settings.data),
            free_bytes=shutil.disk_usage(settings.data).free,
        ),
        store=without_password(settings.store_dsn),
        keys=None if keyring is None else keyring.count_good(),
        tls=bool(settings.tls_cert),
        inbox=seen,
        max_inbox_bytes=settings.inbox_bytes,
    )


def versions(clickhouse: str | None) -> Versions:
    return Versions(
        backtrail=version("backtrail-server"),
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        chdb=version("chdb"),
        clickhouse=clickhouse,
    )


def inbox_check(file: InboxFile) -> InboxCheck:
    counts = file.counts()
    return InboxCheck(
        used_bytes=file.used_bytes(),
        waiting_requests=counts.waiting_requests,
        waiting_spans=counts.waiting[TRACES],
        waiting_log_records=counts.waiting[LOGS],
        quarantined_requests=counts.quarantined_requests,
        quarantined_spans=counts.quarantined[TRACES],
        quarantined_log_records=counts.quarantined[LOGS],
        quarantine_reasons=file.quarantine_reasons(),
    )


def lines(checkup: Checkup) -> Iterator[str]:
    """As a person reads it."""
    versions, folder, inbox = checkup.versions, checkup.folder, checkup.inbox
    yield f"backtrail-server {versions.backtrail}, Python {versions.python}"
    yield f"chDB {versions.chdb}, ClickHouse {versions.clickhouse or 'unknown'}, SQLite {versions.sqlite}"
    if tuple(map(int, versions.sqlite.split("."))) < WAL_RESET_FIXED:
        yield "  older than 3.51.3, it may damage a file that two programs write: leave inbox.sqlite to the server"
    file_system = f", {folder.file_system}" if folder.file_system else ""
    yield f"data folder {folder.path}{file_system}, {in_bytes(folder.free_bytes)} free"
    yield f"store {checkup.store}"
    if checkup.keys is not None:
        yield (
            f"keys: {checkup.keys} good ones"
            if checkup.keys
            else "keys: none, so all on this computer may do everything"
        )
    yield "TLS: on both ports" if checkup.tls else "TLS: none; a key sent from another computer can be read on its way"
    if inbox is not None:
        waiting = in_words(inbox.waiting_spans, inbox.waiting_log_records)
        used = f"{in_bytes(inbox.used_bytes)} of {in_bytes(checkup.max_inbox_bytes)}"
        yield f"inbox: {waiting} waiting in {inbox.waiting_requests} requests, {used}"
        quarantined = in_words(inbox.quarantined_spans, inbox.quarantined_log_records)
        yield f"quarantine: {quarantined} in {inbox.quarantined_requests} requests"
        yield from (f"  refused: {reason}" for reason in inbox.quarantine_reasons)
    yield checkup.status
    yield from (f"  {finding.part}: {finding.reason}" for finding in checkup.reasons)


def in_words(spans: int, log_records: int) -> str:
    return f"{spans} spans and {log_records} log records" if log_records else f"{spans} spans"


def in_bytes(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
