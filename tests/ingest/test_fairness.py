"""A noisy project does not push out a quiet one: from memory, from the disk, or in the order of writing."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from backtrail_ingest import Admission, Inbox, Ledger
from backtrail_ingest.admission import Room
from backtrail_ingest.envelope import Envelope
from backtrail_ingest.errors import InboxFull, Overloaded, ShareUsedUp
from backtrail_ingest.inbox.fair_order import LANE_BITS, FairOrder
from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_ingest.inbox.inbox_rows import Entry
from tests.factories import otlp_request, plain_span, span_id
from tests.ingest.conftest import InboxFolder, envelope_of
from tests.waiting import until

MIB = 1 << 20


def sized(project: str, number: int, *, size: int = 10_000) -> Envelope:
    noise = random.Random(number).randbytes(size // 2).hex()
    return envelope_of(plain_span(id_=span_id(number), attributes={"noise": noise}), project=project)


def projects_of(entries: list[Entry]) -> list[str]:
    return [entry.envelope.project for entry in entries]


def test_a_project_alone_keeps_the_order_received() -> None:
    order = FairOrder(reached=0, last_ids=[])
    ids = [order.place("only", size) for size in (1, 5_000_000, 40, 4096, 1)]

    assert ids == sorted(ids)
    assert len(set(ids)) == 5


def test_projects_that_wait_take_turns_by_bytes() -> None:
    order = FairOrder(reached=0, last_ids=[])
    places = [(order.place("big", 1 << 20), "big") for _ in range(3)]
    places += [(order.place("small", 1 << 10), "small") for _ in range(300)]

    written = [project for _, project in sorted(places)]

    assert written[0] == "big"
    assert 250 < written.index("big", 1) < 260
    assert len({id_ for id_, _ in places}) == 303


def test_no_id_is_given_again_or_behind_the_writers_back_whatever_is_remembered() -> None:
    rnd = random.Random(5)
    order = FairOrder(reached=0, last_ids=[])
    waiting: dict[int, str] = {}
    given: set[int] = set()
    reached = 0
    for _ in range(2000):
        project = rnd.choice("abcdefgh")
        id_ = order.place(project, rnd.choice((1, 5_000, 800_000)))
        assert id_ not in given
        assert id_ > reached
        given.add(id_)
        waiting[id_] = project
        if rnd.random() < 0.1:
            reached = sorted(waiting)[len(waiting) // 3]
            order.reach(reached)
            waiting = {id_: project for id_, project in waiting.items() if id_ > reached}
        if rnd.random() < 0.02:
            last_ids = {project: max(i for i in waiting if waiting[i] == project) for project in waiting.values()}
            order = FairOrder(reached=reached, last_ids=last_ids.items())
    assert max(given) >> LANE_BITS > 1000


async def test_t25_a_quiet_projects_request_goes_before_the_backlog_of_a_noisy_one(inbox_folder: InboxFolder) -> None:
    with inbox_folder.opened() as inbox:
        for number in range(1, 101):
            await inbox.append(sized("noisy", number))
        first = inbox.take(50_000).result(5)
        await inbox.append(sized("quiet", 1000))
        second = inbox.take(50_000).result(5)

    assert projects_of(first) == ["noisy"] * len(first)
    assert "quiet" in projects_of(second)[:2]


async def test_t25_the_order_of_writing_is_fair_for_what_only_the_file_holds_and_after_a_restart(
    inbox_folder: InboxFolder,
) -> None:
    async def left_by(inbox: Inbox) -> None:
        for number in range(1, 61):
            await inbox.append(sized("noisy", number))
        in_flight.extend(inbox.take(30_000).result(5))
        for number in range(1001, 1004):
            await inbox.append(sized("quiet", number))

    in_flight: list[Entry] = []
    with inbox_folder.opened(held_bytes=50_000) as inbox:
        await left_by(inbox)
    with inbox_folder.opened(held_bytes=50_000) as inbox:
        assert inbox.take(30_000).result(5) == in_flight
        await inbox.append(sized("late", 2000))
        taken = inbox.take(80_000).result(5)
        rest: list[Entry] = []
        while len(rest) + len(taken) + len(in_flight) < 64:
            rest += inbox.take(200_000).result(5)

    assert set(projects_of(taken[:4])) == {"noisy", "quiet", "late"}
    ids = [entry.id for entry in [*in_flight, *taken, *rest]]
    assert ids == sorted(set(ids))


async def test_whatever_the_sizes_and_limits_each_entry_is_handed_out_once_and_in_the_order_of_writing(
    inbox_folder: InboxFolder,
) -> None:
    rnd = random.Random(3)
    appended = 0
    taken: list[Entry] = []
    with inbox_folder.opened(held_bytes=60_000) as inbox:
        for _ in range(60):
            burst = [sized(rnd.choice("abc"), rnd.getrandbits(40), size=rnd.choice((100, 9_000))) for _ in range(5)]
            await asyncio.gather(*map(inbox.append, burst))
            appended += len(burst)
            if rnd.random() < 0.5:
                batch = inbox.take(rnd.choice((1_000, 30_000, 90_000))).result(5)
                assert [entry.id for entry in batch] == sorted(entry.id for entry in batch)
                taken += batch
                inbox.delete(batch)
        while len(taken) < appended:
            batch = inbox.take(MIB).result(5)
            taken += batch
            inbox.delete(batch)
        until(lambda: inbox.ask(lambda file: file.counts().waiting_requests) == 0)

    assert len({entry.id for entry in taken}) == appended


async def is_taken(inbox: Inbox, envelope: Envelope) -> bool:
    try:
        await inbox.append(envelope)
    except InboxFull:
        return False
    return True


async def fill(inbox: Inbox, project: str, *, start: int) -> int:
    """Appends until it is refused; how many were taken."""
    for number in range(10_000):
        if not await is_taken(inbox, sized(project, start + number, size=100_000)):
            return number
    raise AssertionError("never full")


async def test_t25_a_noisy_project_that_fills_the_inbox_leaves_room_for_a_quiet_one(
    inbox_folder: InboxFolder, ledger: Ledger
) -> None:
    with inbox_folder.opened(ledger, max_bytes=16 * MIB) as inbox:
        noisy = await fill(inbox, "noisy", start=1)
        with pytest.raises(InboxFull, match="project 'noisy' has its share"):
            inbox.require_room("noisy")
        inbox.require_room("quiet")
        for number in range(3):
            await inbox.append(sized("quiet", 5000 + number, size=100_000))
        assert ledger.spans.waiting == noisy + 3

        for _ in range(noisy + 3):
            inbox.delete(inbox.take(1).result(5))
        until(lambda: ledger.spans.waiting == 0)

        assert await fill(inbox, "noisy", start=10_000) >= noisy


async def test_t25_a_project_whose_requests_the_store_refuses_leaves_room_for_a_quiet_one(
    inbox_folder: InboxFolder, ledger: Ledger
) -> None:
    with inbox_folder.opened(ledger, max_bytes=8 * MIB) as inbox:
        refused = 0
        while await is_taken(inbox, sized("noisy", refused + 1, size=100_000)):
            inbox.quarantine(inbox.take(1).result(5)[0], "refused")
            until(lambda: ledger.spans.waiting == 0)
            refused += 1
        with pytest.raises(InboxFull, match="or in quarantine"):
            inbox.require_room("noisy")

        for number in range(3):
            await inbox.append(sized("quiet", 5000 + number, size=100_000))

        assert inbox.retry(1)
        assert inbox.drop(2)
        inbox.ask(drop_all)
        assert await fill(inbox, "noisy", start=9000) >= refused - 8


def drop_all(file: InboxFile) -> None:
    for row in file.quarantined():
        file.drop_quarantined(row.id)


@contextmanager
def flying(admission: Admission, project: str, size: int) -> Iterator[Room]:
    with admission.room(project) as room:
        room.add(size)
        yield room


def admission_of(inbox: Inbox, ledger: Ledger) -> Admission:
    return Admission(inbox, ledger, max_request_bytes=6 * MIB, max_bytes_in_flight=9 * MIB, retry_after=2)


def test_t25_the_bytes_in_flight_are_shared(inbox_folder: InboxFolder, ledger: Ledger) -> None:
    with inbox_folder.opened() as inbox, ExitStack() as requests:
        admission = admission_of(inbox, ledger)
        for _ in range(8):
            requests.enter_context(flying(admission, "noisy", MIB))
        with pytest.raises(ShareUsedUp, match="8388608 bytes of project 'noisy'"), flying(admission, "noisy", MIB // 2):
            pass
        requests.enter_context(flying(admission, "quiet", MIB // 2))
        with pytest.raises(Overloaded, match="too many bytes of other requests"):
            requests.enter_context(flying(admission, "quiet", MIB))

    with flying(admission, "noisy", 6 * MIB):  # one request alone may take whatever there is
        pass


async def test_a_refused_project_is_told_before_its_body_is_read_and_the_next_one_is_taken(
    inbox_folder: InboxFolder, ledger: Ledger
) -> None:
    with inbox_folder.opened(ledger, max_bytes=4 * MIB) as inbox:
        await fill(inbox, "noisy", start=1)
        admission = admission_of(inbox, ledger)
        with pytest.raises(InboxFull), admission.room("noisy"):
            raise AssertionError("let in")

        body = otlp_request(plain_span(id_=span_id(77_777))).SerializeToString()
        with admission.room("quiet") as room:
            room.add(len(body))
            receipt = await admission.receive("quiet", body)
        assert receipt.error_message == ""
