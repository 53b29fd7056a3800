"""Parts of the way in, real ones, each on files of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client import CollectorRegistry

from backtrail_ingest import Inbox, Ledger, open_inbox
from backtrail_ingest.envelope import Envelope
from tests.factories import inspected, otlp_request

RECEIVED = 1_790_000_000_500_000_000


def envelope_of(*spans: Span, project: str = "default") -> Envelope:
    request = inspected(otlp_request(*spans).SerializeToString())
    return Envelope.around(request, project=project, received_unix_nano=RECEIVED)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(CollectorRegistry())


class InboxFolder:
    """Opens the same inbox again and again, as restarts do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def opened(
        self, ledger: Ledger | None = None, *, max_bytes: int = 1 << 30, held_bytes: int = 1 << 28
    ) -> Iterator[Inbox]:
        ledger = ledger or Ledger(CollectorRegistry())
        with open_inbox(self.path, max_bytes=max_bytes, ledger=ledger, held_bytes=held_bytes) as inbox:
            yield inbox


@pytest.fixture
def inbox_folder(tmp_path: Path) -> InboxFolder:
    return InboxFolder(tmp_path / "inbox.sqlite")
