"""T6: whatever happened to the inbox's file, the server starts, delivers what can be read, and says what it found."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from backtrail_ingest import Inbox, Ledger
from backtrail_ingest.errors import InboxUnusable
from backtrail_ingest.inbox.inbox_file import PAGE_BYTES, InboxFile
from backtrail_ingest.inbox.inbox_rows import Entry
from tests.factories import plain_span, span_id
from tests.faults.faulty import Lives, numbered, numbers_of
from tests.faults.test_failing_disk import left_in
from tests.ingest.conftest import InboxFolder, envelope_of
from tests.waiting import until

ALL = list(range(1, 31))
MIB = 1 << 20


@pytest.fixture
async def full(inbox_folder: InboxFolder) -> InboxFolder:
    """Thirty requests on a dozen pages; the WAL is empty."""
    with inbox_folder.opened() as inbox:
        for number in ALL:
            await inbox.append(numbered(number))
    return inbox_folder


def wal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


@pytest.fixture
async def with_wal(inbox_folder: InboxFolder, tmp_path: Path) -> InboxFolder:
    """As a kill leaves it: all requests are in the WAL."""
    killed = InboxFolder(tmp_path / "killed" / "inbox.sqlite")
    killed.path.parent.mkdir()
    with inbox_folder.opened() as inbox:
        for number in ALL:
            await inbox.append(numbered(number))
            if number == ALL[-1]:
                for path in (inbox_folder.path, wal_of(inbox_folder.path)):
                    shutil.copy(path, killed.path.with_name(path.name))
    return killed


def delivered(folder: InboxFolder, ledger: Ledger) -> tuple[list[int], str | None]:
    with folder.opened(ledger) as inbox:
        entries = all_of(inbox, ledger)
        trouble = inbox.trouble
    counts = ledger.spans
    assert counts.received == counts.waiting + counts.quarantined + counts.rejected.total()
    return numbers_of(entries), trouble


def all_of(inbox: Inbox, ledger: Ledger) -> list[Entry]:
    entries: list[Entry] = []
    while len(entries) < ledger.spans.waiting:
        entries += inbox.take(MIB).result(5)
    return entries


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def flip(path: Path, at: int) -> None:
    overwrite(path, at, bytes([path.read_bytes()[at] ^ 0x10]))


def is_ordered_part(found: Sequence[int]) -> bool:
    return list(found) == sorted(set(found)) and set(found) <= set(ALL)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
async def test_t6_a_wal_cut_anywhere_leaves_the_requests_before(
    with_wal: InboxFolder, ledger: Ledger, share: float
) -> None:
    wal = wal_of(with_wal.path)
    with wal.open("r+b") as file:
        file.truncate(int(wal.stat().st_size * share))

    found, trouble = delivered(with_wal, ledger)

    assert found == ALL[: len(found)]
    assert trouble is None


@pytest.mark.parametrize("share", [0.2, 0.6])
async def test_t6_a_flipped_bit_in_the_wal_leaves_the_requests_before(
    with_wal: InboxFolder, ledger: Ledger, share: float
) -> None:
    wal = wal_of(with_wal.path)
    flip(wal, int(wal.stat().st_size * share))

    found, _ = delivered(with_wal, ledger)

    assert found == ALL[: len(found)]


async def test_t6_without_its_wal_the_inbox_starts(with_wal: InboxFolder, ledger: Ledger) -> None:
    wal_of(with_wal.path).unlink()

    assert is_ordered_part(delivered(with_wal, ledger)[0])


async def test_t6_a_flipped_bit_in_a_payload_sends_one_request_to_quarantine(full: InboxFolder, ledger: Ledger) -> None:
    packed = numbered(7).packed
    flip(full.path, full.path.read_bytes().index(packed) + len(packed) // 2)

    found, _ = delivered(full, ledger)

    assert found == [number for number in ALL if number != 7]
    assert ledger.spans.quarantined == 1


async def test_t6_any_page_may_be_zeroed_and_the_others_are_delivered(full: InboxFolder, tmp_path: Path) -> None:
    found: list[int] = []
    for page in range(1, full.path.stat().st_size // PAGE_BYTES):
        damaged = InboxFolder(tmp_path / f"page-{page}" / "inbox.sqlite")
        damaged.path.parent.mkdir()
        shutil.copy(full.path, damaged.path)
        overwrite(damaged.path, page * PAGE_BYTES, bytes(PAGE_BYTES))
        numbers, trouble = delivered(damaged, Ledger(CollectorRegistry()))
        assert is_ordered_part(numbers)
        assert len(numbers) == len(ALL) or trouble is not None
        found.append(len(numbers))

    assert sum(count >= len(ALL) * 2 // 3 for count in found) >= 6


async def take_one_more(folder: InboxFolder) -> None:
    with folder.opened() as inbox:
        await inbox.append(envelope_of(plain_span(id_=span_id(1000))))
        assert len(inbox.take(MIB).result(5)) >= 1


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "zeroed header": lambda path: overwrite(path, 0, bytes(100)),
    "no database": lambda path: path.write_bytes(b"this is no database" * 5000),
    "half a file": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "missing table": lambda path: execute(path, "DROP TABLE inbox"),
}


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
def test_t6_an_unreadable_file_is_put_aside_and_reported_and_new_requests_are_taken(
    full: InboxFolder, ledger: Ledger, damage: Callable[[Path], object]
) -> None:
    damage(full.path)

    found, trouble = delivered(full, ledger)

    assert is_ordered_part(found)
    assert trouble is not None
    assert f"was put aside as {full.path}.damaged-1" in trouble
    assert Path(f"{full.path}.damaged-1").exists()
    asyncio.run(take_one_more(full))


async def test_t6_most_of_a_file_still_gives_what_it_holds(full: InboxFolder, ledger: Ledger) -> None:
    full.path.write_bytes(full.path.read_bytes()[: full.path.stat().st_size * 5 // 6])

    assert len(delivered(full, ledger)[0]) >= len(ALL) // 3


async def test_t6_an_empty_file_is_a_new_inbox(full: InboxFolder, ledger: Ledger) -> None:
    full.path.write_bytes(b"")

    assert delivered(full, ledger) == ([], None)
    await take_one_more(full)


async def test_t6_damage_that_comes_while_it_runs_is_survived(full: InboxFolder, ledger: Ledger) -> None:
    with full.opened(ledger, held_bytes=0) as inbox:
        [first] = inbox.take(1).result(5)
        for page in range(7, full.path.stat().st_size // PAGE_BYTES):
            overwrite(full.path, page * PAGE_BYTES, bytes(PAGE_BYTES))
        inbox.ask(lambda file: file.pragma("shrink_memory"))
        rest = inbox.take(1 << 30).result(5)
        assert "was put aside as" in str(inbox.trouble)
        await inbox.append(numbered(31))
        rest += inbox.take(MIB).result(5)
        assert numbers_of(rest)[-1] == 31
        assert len(rest) > 5
        inbox.delete([first, *rest])
        until(lambda: ledger.spans.waiting == 0)

    counts = ledger.spans
    assert counts.received == counts.stored + counts.rejected["lost to damage"] == len(ALL) + 1


def test_t6_a_newer_version_refuses_and_changes_nothing(inbox_folder: InboxFolder) -> None:
    with inbox_folder.opened():
        pass
    execute(inbox_folder.path, "PRAGMA user_version=99")
    before = inbox_folder.path.read_bytes()

    with pytest.raises(InboxUnusable, match="has version 99, this Backtrail knows 2: start the newer one"):
        InboxFile(inbox_folder.path, max_bytes=MIB)

    assert inbox_folder.path.read_bytes() == before


@pytest.mark.parametrize("kind", ["write", "sync", "truncate", "unlink", "rename"])
async def test_t2_dying_in_the_middle_of_a_repair_loses_nothing_that_the_repair_would_have_kept(
    full: InboxFolder, lives: Lives, tmp_path: Path, kind: str
) -> None:
    overwrite(full.path, full.path.stat().st_size - 3 * PAGE_BYTES, bytes(PAGE_BYTES))
    reference = InboxFolder(tmp_path / "reference" / "inbox.sqlite")
    reference.path.parent.mkdir()
    shutil.copy(full.path, reference.path)
    readable = set(delivered(reference, Ledger(CollectorRegistry()))[0])
    assert 10 < len(readable) < len(ALL)

    for at in range(1, 9):
        folder = tmp_path / f"life-{at}"
        folder.mkdir()
        shutil.copy(full.path, folder)
        life = lives.live_in(folder, kind, at)
        waiting, quarantined = left_in(life, is_damaged=True)
        assert readable <= {*waiting, *life.numbers("stored"), *quarantined}
