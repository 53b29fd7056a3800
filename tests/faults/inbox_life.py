"""The life of an inbox under the faulty disk, told by what it writes down; started by faulty.py, never imported.

Reads one line of JSON for each life and forks a child for it, so that a life costs milliseconds. What a child was
promised is in `told` in its folder, a line each, written before the next thing happens: it may be killed anywhere.
"""

import asyncio
import ctypes
import gc
import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from backtrail_ingest import Inbox, Ledger, open_inbox
from backtrail_ingest.errors import InboxUnusable, Overloaded
from tests.faults.faulty import KINDS, numbered, numbers_of
from tests.faults.teller import Teller

disk = ctypes.CDLL(None)
APPENDED_TOGETHER = 3
ROUNDS = 3
TRIES = 5


async def append(inbox: Inbox, number: int, tell: Teller) -> None:
    """Comes again when it is refused, as an exporter does."""
    for _ in range(TRIES):
        try:
            await inbox.append(numbered(number))
        except Overloaded as refusal:
            tell("refused", number, type(refusal).__name__)
        else:
            tell("acknowledged", number)
            cut_power(number)
            return


def retry(inbox: Inbox, id_: int) -> None:
    """Comes again too, as an administrator does."""
    for _ in range(2 * TRIES):
        with suppress(Overloaded):
            inbox.retry(id_)
            return


def cut_power(number: int) -> None:
    """What would be found now: the files as they were last synced, and the book."""
    if "KEEP_DURABLE" in os.environ:
        folder = Path(f"cut-{number}")
        folder.mkdir()
        shutil.copy("told", folder)
        for name in ("inbox.sqlite", "inbox.sqlite-wal"):
            if Path(f"{name}.durable").exists():
                shutil.copy(f"{name}.durable", folder / name)


async def live(tell: Teller) -> None:
    ledger = Ledger(CollectorRegistry())
    with open_inbox(
        Path("inbox.sqlite"), max_bytes=1 << 26, ledger=ledger, release_reserve=lambda: tell("released")
    ) as inbox:
        for round_ in range(ROUNDS):
            first = round_ * APPENDED_TOGETHER + 1
            await asyncio.gather(*(append(inbox, number, tell) for number in range(first, first + APPENDED_TOGETHER)))
            entries = inbox.take(1 << 20).result(20)
            if round_ == 1:
                inbox.quarantine(entries.pop(), "refused")
            for number in numbers_of(entries):
                tell("stored", number)
            if entries:
                inbox.delete(entries)
        for row in inbox.ask(lambda file: file.quarantined()):
            retry(inbox, row.id)
        await append(inbox, 100, tell)
    counts = ledger.spans
    tell("counted", counts.received, counts.stored + counts.quarantined + counts.waiting + counts.rejected.total())
    tell(
        "strange", counts.rejected["lost to damage"], *filter(lambda count: count < 0, [counts.waiting, counts.stored])
    )
    for kind in KINDS:
        tell("calls", kind, disk.faulty_disk_calls(KINDS.index(kind)))


def run(order: dict[str, Any]) -> None:
    os.chdir(order["folder"])
    with Teller(Path("told")) as tell:
        disk.faulty_disk_arm(KINDS.index(order["kind"]), order["at"], order["times"], order["error"])
        try:
            asyncio.run(live(tell))
        except InboxUnusable as error:
            tell("unusable", str(error).replace("\n", " "))


def main() -> None:
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run(json.loads(line))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


main()
