"""Erased traces leave the quarantined requests, those of others stay, and the file forgets the bytes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtrail_ingest import Inbox
from backtrail_ingest.envelope import Envelope
from backtrail_ingest.inbox.erasure import find_traces_of_user, has_trace, remove_traces, wipe
from backtrail_ingest.inbox.inbox_rows import Entry
from backtrail_ingest.requests.flatten import rewrite
from backtrail_ingest.signals import LOGS, TRACES
from tests.factories import log_record, logs_request, plain_span, span_id
from tests.ingest.conftest import RECEIVED, InboxFolder, envelope_of

MINE, OTHER = bytes([1]) * 16, bytes([2]) * 16
CANARY = "a canary nobody else says"


@pytest.fixture
def inbox(inbox_folder: InboxFolder) -> Iterator[Inbox]:
    with inbox_folder.opened() as inbox:
        yield inbox


def quarantine(inbox: Inbox, envelope: Envelope, *, reason: str = "cannot read it") -> None:
    asyncio.run(inbox.append(envelope))
    inbox.quarantine(inbox.take(1).result(5)[0], reason)


def mixed_request(project: str = "default") -> Envelope:
    """One span of each trace; the nested value has been rewritten on the way in."""
    mine = plain_span(CANARY, trace_id=MINE, attributes={"user.id": "u1", "nested": {"said": CANARY}})
    other = plain_span("other", trace_id=OTHER, id_=span_id(2), attributes={"nested": {"said": ["x"]}})
    return envelope_of(mine, other, project=project)


def texts(inbox: Inbox) -> list[bytes]:
    """What lies in quarantine, request by request."""
    rows = inbox.ask(lambda file: [file.read_quarantined(row.id) for row in file.quarantined()])
    return [row.envelope.request for row in rows if isinstance(row, Entry)]


def test_a_quarantined_request_keeps_what_others_said(inbox: Inbox) -> None:
    quarantine(inbox, mixed_request())

    removed = inbox.ask(lambda file: remove_traces(file, "default", {MINE.hex()}))

    assert (removed.items[TRACES], removed.unread) == (1, [])
    [text] = texts(inbox)
    assert CANARY.encode() not in text
    assert b'{"said":["x"]}' in text
    [row] = inbox.ask(lambda file: file.quarantined())
    assert (row.item_count, row.reason) == (1, "refused by the store, and part of it was erased since")


def test_a_quarantined_request_without_anybody_else_in_it_goes(inbox: Inbox) -> None:
    quarantine(inbox, envelope_of(plain_span(trace_id=MINE)))
    quarantine(inbox, envelope_of(plain_span(trace_id=OTHER)))

    inbox.ask(lambda file: remove_traces(file, "default", {MINE.hex()}))

    assert len(texts(inbox)) == 1
    assert not inbox.ask(lambda file: has_trace(file, "default", MINE.hex()))
    assert inbox.ask(lambda file: has_trace(file, "default", OTHER.hex()))


def test_log_records_go_with_their_trace(inbox: Inbox) -> None:
    body = logs_request(log_record(CANARY, trace_id=MINE), log_record("other", trace_id=OTHER)).SerializeToString()
    quarantine(inbox, Envelope.around(rewrite(body, signal=LOGS), project="default", received_unix_nano=RECEIVED))

    removed = inbox.ask(lambda file: remove_traces(file, "default", {MINE.hex()}))

    assert removed.items[LOGS] == 1
    assert CANARY.encode() not in texts(inbox)[0]


def test_other_projects_requests_are_not_looked_at(inbox: Inbox) -> None:
    quarantine(inbox, mixed_request(project="theirs"))

    assert inbox.ask(lambda file: find_traces_of_user(file, "default", "u1")) == set()
    assert inbox.ask(lambda file: find_traces_of_user(file, "theirs", "u1")) == {MINE.hex()}
    assert inbox.ask(lambda file: remove_traces(file, "default", {MINE.hex()})).items.total() == 0


def test_a_user_may_be_a_number(inbox: Inbox) -> None:
    quarantine(inbox, envelope_of(plain_span(trace_id=MINE, attributes={"user.id": 42})))
    quarantine(inbox, envelope_of(plain_span(trace_id=OTHER, attributes={"user.id": 421})))

    assert inbox.ask(lambda file: find_traces_of_user(file, "default", "42")) == {MINE.hex()}


def test_what_was_deleted_is_in_no_page_and_in_no_log_of_the_file(inbox: Inbox, inbox_folder: InboxFolder) -> None:
    quarantine(inbox, mixed_request(), reason=f"cannot read {CANARY}")
    quarantine(inbox, envelope_of(plain_span(trace_id=OTHER)))
    assert any(CANARY.encode() in path.read_bytes() for path in files_of(inbox_folder))
    inbox.ask(lambda file: remove_traces(file, "default", {MINE.hex()}))

    inbox.ask(wipe)

    assert not any(CANARY.encode() in path.read_bytes() for path in files_of(inbox_folder))
    assert len(texts(inbox)) == 2


def files_of(inbox_folder: InboxFolder) -> list[Path]:
    return list(inbox_folder.path.parent.glob(f"{inbox_folder.path.name}*"))
