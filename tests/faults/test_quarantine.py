"""T9: what the store refuses is put aside, seen, tried again or dropped; everything beside it is stored."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from backtrail_ingest import Inbox, Ledger, open_inbox
from backtrail_ingest.envelope import Envelope
from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_ingest.requests.inspected import InspectedRequest
from tests.factories import TRACE_ID, plain_span, span_id
from tests.ingest.conftest import RECEIVED, InboxFolder, envelope_of
from tests.server.test_cli import run
from tests.serving import RunningServer, running_server
from tests.waiting import until

POISON = Envelope.around(InspectedRequest(body=b"\xff\x01", item_count=1), project="shop", received_unix_nano=RECEIVED)


def leave_in_inbox(data: Path, envelopes: Sequence[Envelope], *, refused: int = 0) -> None:
    """As a server would that was killed; the first ones are in quarantine already."""
    data.mkdir(exist_ok=True)
    with open_inbox(data / "inbox.sqlite", max_bytes=1 << 26, ledger=Ledger(CollectorRegistry())) as inbox:
        asyncio.run(append_all(inbox, envelopes))
        for entry in inbox.take(1 << 26).result(5)[:refused]:
            inbox.quarantine(entry, "it was not understood")


async def append_all(inbox: Inbox, envelopes: Sequence[Envelope]) -> None:
    await asyncio.gather(*map(inbox.append, envelopes))


def counted(server: RunningServer, name: str) -> float:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"backtrail_spans_{name}"))


def books_are_right(server: RunningServer) -> bool:
    parts = ("stored_total", "duplicates_total", "rejected_total", "quarantined", "waiting")
    return counted(server, "received_total") == sum(counted(server, part) for part in parts)


def quarantine(server: RunningServer, method: str = "GET", path: str = "") -> Any:
    return httpx.request(method, f"{server.url}/api/v1/quarantine{path}").json()


def names_in_store(server: RunningServer) -> set[str]:
    answer = httpx.get(f"{server.url}/api/v1/traces/{TRACE_ID.hex()}").json()
    return {span["name"] for span in answer.get("spans", [])}


def test_t9_one_request_the_engine_refuses_among_500_is_put_aside_listed_shown_tried_again_and_dropped(
    tmp_path: Path,
) -> None:
    good = [envelope_of(plain_span(f"span {n}", id_=span_id(n))) for n in range(1, 500)]
    leave_in_inbox(tmp_path, [*good[:250], POISON, *good[250:]])

    with running_server(tmp_path) as server:
        until(lambda: counted(server, "waiting") == 0)
        assert names_in_store(server) == {f"span {n}" for n in range(1, 500)}
        assert (counted(server, "stored_total"), counted(server, "quarantined")) == (499, 1)

        listed = run("quarantine", "list", "--data", str(tmp_path))
        assert listed.startswith("1: project shop, 1 spans: ")
        assert "Protobuf" in listed
        assert run("quarantine", "show", "1", "--data", str(tmp_path)).endswith("it cannot be decoded\n")

        assert run("quarantine", "retry", "--all", "--data", str(tmp_path)) == "given to the store again: 1\n"
        until(lambda: counted(server, "quarantined") == 1)
        assert [request["id"] for request in quarantine(server)["requests"]] == [2]
        assert books_are_right(server)

        assert run("quarantine", "drop", "2", "--data", str(tmp_path)) == "dropped: 2\n"
        assert 'backtrail_spans_rejected_total{reason="dropped"} 1.0' in httpx.get(f"{server.url}/metrics").text
        assert counted(server, "quarantined") == 0
        assert books_are_right(server)


def test_t9_what_was_put_aside_by_mistake_is_stored_when_it_is_tried_again(tmp_path: Path) -> None:
    leave_in_inbox(tmp_path, [envelope_of(plain_span("wrongly refused"))], refused=1)
    assert "  refused: it was not understood" in run("check", "--data", str(tmp_path)).splitlines()

    with running_server(tmp_path) as server:
        shown = quarantine(server, "GET", "/1")
        assert (shown["project"], shown["names"], shown["is_damaged"]) == ("default", ["wrongly refused"], False)
        assert quarantine(server, "POST", "/1/retry") == {"ids": [1]}
        until(lambda: counted(server, "stored_total") == 1)
        assert names_in_store(server) == {"wrongly refused"}
        assert books_are_right(server)
        for method, path in (("GET", "/1"), ("POST", "/1/retry"), ("DELETE", "/1")):
            assert quarantine(server, method, path)["detail"] == "there is no request 1 in quarantine"


async def test_t9_a_damaged_request_can_only_be_dropped(inbox_folder: InboxFolder, ledger: Ledger) -> None:
    with inbox_folder.opened(ledger) as inbox:
        await inbox.append(envelope_of(plain_span()))
        inbox.quarantine(inbox.take(1).result(5)[0], "refused")
        inbox.ask(lambda file: file._connection.execute("UPDATE quarantine SET packed = x'00'").fetchall())

        assert not inbox.retry(1)
        assert inbox.ask(InboxFile.counts).quarantined_requests == 1
        assert inbox.drop(1)
        assert not inbox.drop(1)

    counts = ledger.spans
    assert (counts.received, counts.quarantined, counts.waiting, counts.rejected["dropped"]) == (1, 0, 0, 1)


async def test_t9_the_books_are_right_in_the_next_life_too(inbox_folder: InboxFolder, ledger: Ledger) -> None:
    with inbox_folder.opened() as inbox:
        for n in range(1, 5):
            await inbox.append(envelope_of(plain_span(id_=span_id(n))))
        for entry in inbox.take(1 << 20).result(5)[:3]:
            inbox.quarantine(entry, "refused")
        assert inbox.retry(1)
        assert inbox.drop(3)
    with inbox_folder.opened(ledger) as inbox:
        in_flight, rest = inbox.take(1 << 20).result(5), inbox.take(1 << 20).result(5)
        entries = [*in_flight, *rest]
        assert [entry.envelope for entry in entries] == [envelope_of(plain_span(id_=span_id(n))) for n in (4, 1)]
        inbox.delete(entries)
        until(lambda: ledger.spans.waiting == 0)

    counts = ledger.spans
    assert (counts.received, counts.stored, counts.quarantined) == (3, 2, 1)
