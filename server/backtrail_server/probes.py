"""What the parts of a serving process are asked, and what their answers mean.

store, inbox, writer, disk → **probes** → readiness
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from backtrail_ingest import Inbox, Ledger, Writer
from backtrail_server.file_system import NETWORK_FILE_SYSTEMS, file_system_of
from backtrail_server.readiness import Finding, Probe
from backtrail_server.settings import Settings
from backtrail_store import Store

NEARLY_FULL = 0.8  # one project alone is refused at eight ninths
STUCK_SECONDS = 60
NAMED_PARTS = 3
SECOND = 1_000_000_000


def probes_of(
    settings: Settings, *, store: Store, inbox: Inbox, ledger: Ledger, writer: Writer | None = None
) -> dict[str, Probe]:
    """By the part they look at. Without a writer nothing is expected to leave the inbox."""
    reserve_bytes = settings.disk_reserve_bytes
    probes = {
        "store": store_probe(store, reserve_bytes=reserve_bytes if settings.store else 0),
        "inbox": inbox_probe(inbox, ledger, path=settings.inbox_path, max_bytes=settings.inbox_bytes),
        "disk": disk_probe(settings.data, reserve_bytes=reserve_bytes),
    }
    return probes if writer is None else {**probes, "writer": writer_probe(writer, inbox)}


def store_probe(store: Store, *, reserve_bytes: int) -> Probe:
    def probe() -> Iterator[Finding]:
        health = store.health()
        if health.broken_parts:
            yield Finding(part="store", reason=broken_parts_sentence(health.broken_parts))
        if health.damaged_reads is not None:
            yield Finding(
                part="store",
                reason=f"ClickHouse read damaged bytes since it started ({health.damaged_reads}): check the disk, "
                "and bring the rows back from a backup",
            )
        for replica in health.ailing_replicas:
            yield Finding(part="store", reason=str(replica), stops_work=replica.is_readonly)
        if health.free_bytes < reserve_bytes:
            yield Finding(part="store", reason=room_sentence("the store's disk", health.free_bytes, reserve_bytes))

    return probe


def broken_parts_sentence(parts: tuple[object, ...]) -> str:
    named = "; ".join(map(str, parts[:NAMED_PARTS]))
    more = f"; and {len(parts) - NAMED_PARTS} more" if len(parts) > NAMED_PARTS else ""
    return (
        f"ClickHouse put {len(parts)} damaged parts aside, so their rows are missing from every answer: {named}{more}. "
        "Bring them back from a backup, or remove these folders to accept the loss"
    )


def inbox_probe(inbox: Inbox, ledger: Ledger, *, path: Path, max_bytes: int) -> Probe:
    def probe() -> Iterator[Finding]:
        if inbox.trouble is not None:
            yield Finding(part="inbox", reason=inbox.trouble)
        used = inbox.ask(lambda file: file.used_bytes())
        if used >= NEARLY_FULL * max_bytes:
            yield Finding(
                part="inbox",
                reason=f"the inbox holds {used} of the {max_bytes} bytes it may (BACKTRAIL_INBOX_BYTES), "
                "because the store takes spans more slowly than they come",
            )
        if quarantined := ledger.spans.quarantined + ledger.log_records.quarantined:
            yield Finding(
                part="quarantine",
                stops_work=False,
                reason=f"{quarantined} spans and log records are in quarantine: see `backtrail-server quarantine list`",
            )
        for aside in sorted(path.parent.glob(f"{path.name}.damaged-*[0-9]")):
            yield Finding(
                part="inbox",
                stops_work=False,
                reason=f"{aside} is an inbox that could not be read, with what waited in it: save it and move it away",
            )

    return probe


def writer_probe(writer: Writer, inbox: Inbox, *, stuck_seconds: int = STUCK_SECONDS) -> Probe:
    """Spans that waited in the file before this process began have waited since then."""
    began = time.time_ns()

    def probe() -> Iterator[Finding]:
        if writer.trouble is not None:
            yield Finding(part="writer", reason=writer.trouble)
        oldest = inbox.ask(lambda file: file.oldest_received_unix_nano())
        if oldest is None:
            return
        waited = (time.time_ns() - max(oldest, began)) // SECOND
        if waited > stuck_seconds:
            yield Finding(
                part="writer",
                reason=f"what arrived {waited} s ago is not readable yet: the store is stuck, or too slow",
            )

    return probe


def disk_probe(folder: Path, *, reserve_bytes: int) -> Probe:
    file_system = file_system_of(folder)

    def probe() -> Iterator[Finding]:
        if file_system in NETWORK_FILE_SYSTEMS:
            yield Finding(
                part="disk",
                stops_work=False,
                reason=f"{folder} is on a network file system ({file_system}), which does not carry SQLite's "
                "write-ahead log: acknowledged spans may be lost. Move it to a local disk",
            )
        free = shutil.disk_usage(folder).free
        if free < reserve_bytes:
            yield Finding(part="disk", reason=room_sentence(f"the disk of {folder}", free, reserve_bytes))
        elif free < 2 * reserve_bytes:
            yield Finding(
                part="disk", reason=room_sentence(f"the disk of {folder}", free, reserve_bytes), stops_work=False
            )

    return probe


def room_sentence(disk: str, free: int, reserve: int) -> str:
    consequence = "no spans are taken" if free < reserve else "soon no spans will be taken"
    return (
        f"{disk} has {free} bytes left and {reserve} are kept in reserve (BACKTRAIL_DISK_RESERVE_BYTES): {consequence}"
    )
