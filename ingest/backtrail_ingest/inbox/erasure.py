"""Traces that are to be gone are taken out of the quarantined requests, and their bytes out of the inbox's file.

    admin.erasure → **erasure** → inbox_file

Asked on the inbox's own thread (`Inbox.ask`). A request that holds spans of others too stays there with those: it is
cut on the wire, so that what the store did not like about it is as it was.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from backtrail_ingest.envelope import Envelope
from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_ingest.inbox.inbox_rows import Damaged, Entry
from backtrail_ingest.requests.inspected import InspectedRequest
from backtrail_ingest.requests.wire_fields import LENGTH_DELIMITED, Budget, TooManyFields, Wire, delimited
from backtrail_ingest.signals import LOGS, TRACES, Signal

USER_ID = b"user.id"
MOST_FIELDS = 1 << 26  # more than a request of the largest size has

PATH = (1, 2, 2)  # resource_spans, scope_spans, spans; and the same in logs
TRACE_ID = {TRACES: 1, LOGS: 9}
ATTRIBUTES = {TRACES: 9, LOGS: 6}
KEY, VALUE = 1, 2

IsWanted = Callable[[int, int], bool]


@dataclass(slots=True)
class Removed:
    """How many spans and log records there were; the requests that cannot be looked into."""

    items: Counter[Signal] = field(default_factory=Counter)
    unread: list[int] = field(default_factory=list)


class Request:
    """A quarantined request, whose spans or log records are looked at where they lie in its bytes."""

    def __init__(self, signal: Signal, body: bytes) -> None:
        self.signal = signal
        self.wire = Wire(body, Budget(MOST_FIELDS))

    def trace_ids(self, *, user_id: str | None = None) -> set[str]:
        """Of all items, or of those that name this user."""
        found: set[str] = set()

        def look(start: int, end: int) -> bool:
            if user_id is None or user_id in self._user_ids(start, end):
                found.add(self.trace_id(start, end))
            return True

        self.cut(look)
        return found

    def trace_id(self, start: int, end: int) -> str:
        return next(self._contents(start, end, TRACE_ID[self.signal]), b"").hex()

    def cut(self, is_wanted: IsWanted) -> tuple[bytes, int]:
        """The request with the wanted items only, and how many are left out."""
        parts, left_out = self._cut(0, len(self.wire.data), PATH, is_wanted)
        return b"".join(parts), left_out

    def _cut(self, start: int, end: int, path: tuple[int, ...], is_wanted: IsWanted) -> tuple[list[bytes], int]:
        parts: list[bytes] = []
        left_out = 0
        for number, wire_type, begin, content, stop in self.wire.fields(start, end):
            if (number, wire_type) != (path[0], LENGTH_DELIMITED):
                parts.append(self.wire.data[begin:stop])
            elif len(path) > 1:
                inner, count = self._cut(content, stop, path[1:], is_wanted)
                parts.append(delimited(number, b"".join(inner)))
                left_out += count
            elif is_wanted(content, stop):
                parts.append(self.wire.data[begin:stop])
            else:
                left_out += 1
        return parts, left_out

    def _user_ids(self, start: int, end: int) -> Iterator[str]:
        for attribute in self._places(start, end, ATTRIBUTES[self.signal]):
            if next(self._contents(*attribute, KEY), b"") == USER_ID:
                for value in self._contents(*attribute, VALUE):
                    yield as_stored(AnyValue.FromString(value))

    def _contents(self, start: int, end: int, wanted: int) -> Iterator[bytes]:
        for content, stop in self._places(start, end, wanted):
            yield self.wire.data[content:stop]

    def _places(self, start: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
        for number, wire_type, _, content, stop in self.wire.fields(start, end):
            if (number, wire_type) == (wanted, LENGTH_DELIMITED):
                yield content, stop


def as_stored(value: AnyValue) -> str:
    """As the store has it in its texts: many programs number their users."""
    return str(value.int_value) if value.WhichOneof("value") == "int_value" else value.string_value


def find_traces_of_user(file: InboxFile, project: str, user_id: str) -> set[str]:
    """Of which a quarantined span or record names this user."""
    found: set[str] = set()
    for row in quarantined(file, project):
        if isinstance(row, Entry) and (ids := readable_ids(row.envelope, user_id)):
            found |= ids
    return found - {""}


def has_trace(file: InboxFile, project: str, trace_id: str) -> bool:
    return any(
        trace_id in (readable_ids(row.envelope) or ()) for row in quarantined(file, project) if isinstance(row, Entry)
    )


def readable_ids(envelope: Envelope, user_id: str | None = None) -> set[str] | None:
    """None if the request is not what it should be."""
    try:
        return Request(envelope.signal, envelope.request).trace_ids(user_id=user_id)
    except (DecodeError, TooManyFields):
        return None


def remove_traces(file: InboxFile, project: str, trace_ids: set[str]) -> Removed:
    """One transaction."""
    removed = Removed()
    with file.transaction():
        for row in quarantined(file, project):
            ids = readable_ids(row.envelope) if isinstance(row, Entry) else None
            if ids is None or isinstance(row, Damaged):
                removed.unread.append(row.id)
            elif ids & trace_ids:
                removed.items[row.envelope.signal] += _cut(file, row, trace_ids)
    return removed


def _cut(file: InboxFile, entry: Entry, trace_ids: set[str]) -> int:
    envelope = entry.envelope
    request = Request(envelope.signal, envelope.request)
    body, left_out = request.cut(lambda start, end: request.trace_id(start, end) not in trace_ids)
    left = envelope.item_count - left_out
    if left > 0:
        rest = InspectedRequest(body=body, item_count=left, signal=envelope.signal)
        around = Envelope.around(rest, project=envelope.project, received_unix_nano=envelope.received_unix_nano)
        file.replace_quarantined(entry.id, around)
    else:
        file.drop_quarantined(entry.id)
    return left_out


def quarantined(file: InboxFile, project: str) -> Iterator[Entry | Damaged]:
    for row in file.quarantined():
        content = file.read_quarantined(row.id) if row.project == project else None
        if content is not None:
            yield content


def wipe(file: InboxFile) -> None:
    """What was deleted leaves the file itself, and the log before it. Needs as much room as is waiting."""
    file.vacuum()
    file.checkpoint()
