"""The one door behind both receivers: is there room, is it sound, was it here before? Then the inbox.

    http_receiver, grpc_receiver → **admission** → inspection → envelope → inbox → ack

Room is counted in bytes that are declared or arrived, whichever is more, and memory is taken only as they arrive.
"""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from backtrail_ingest.envelope import Envelope
from backtrail_ingest.errors import Failed, Overloaded, Refusal, RequestTooLarge, ShareUsedUp
from backtrail_ingest.inbox.inbox import Inbox
from backtrail_ingest.inbox.shares import Shares, is_too_much
from backtrail_ingest.ledger import Ledger
from backtrail_ingest.requests.apart import Apart
from backtrail_ingest.requests.flatten import rewrite
from backtrail_ingest.requests.inspected import Faults, InspectedRequest
from backtrail_ingest.requests.inspection import inspect
from backtrail_ingest.requests.limits import DEFAULT_LIMITS, Limits
from backtrail_ingest.requests.pieces import PIECE_BYTES
from backtrail_ingest.signals import TRACES, Signal

LARGE = PIECE_BYTES  # more than that is looked at, packed and hashed for long enough to be noticed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the acknowledgement says: all is stored but for these spans or log records."""

    rejected_items: int
    error_message: str


class Admission:
    def __init__(
        self,
        inbox: Inbox,
        ledger: Ledger,
        *,
        max_request_bytes: int,
        max_bytes_in_flight: int,
        retry_after: int,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.ledger = ledger
        self.max_request_bytes = max_request_bytes
        self.retry_after = retry_after
        self.limits = limits
        self.max_bytes_in_flight = max_bytes_in_flight
        self._inbox = inbox
        self._in_flight = Shares()
        self._turn = asyncio.Lock()
        self.apart = Apart()

    @contextmanager
    def room(self, project: str) -> Iterator["Room"]:
        """Holds a request's bytes against the limits from its first byte to its acknowledgement, or its refusal.

        What breaks inside that is no `Refusal` becomes one.
        """
        room = Room(self, project)
        try:
            self._inbox.require_room(project)
            yield room
        except Refusal as refusal:
            self.ledger.refused_request(type(refusal).__name__)
            raise
        except Exception as error:
            logger.exception("a request could not be taken; its client was told to come again")
            self.ledger.refused_request(Failed.__name__)
            raise Failed(f"Backtrail failed with {type(error).__name__}; its log says more") from error
        finally:
            self._in_flight.add(project, -room.bytes)

    def take_bytes(self, project: str, count: int, *, of_request: int) -> None:
        """A project may have one request in flight whenever there is room, and several as long as it is not greedy."""
        flying = self._in_flight
        free = self.max_bytes_in_flight - flying.total - count
        if free < 0:
            raise Overloaded("too many bytes of other requests are on their way to the disk")
        held = flying.of(project)
        if held > of_request and is_too_much(held + count, free=free):
            raise ShareUsedUp(f"{held} bytes of project {project!r} are on their way to the disk, which is its share")
        flying.add(project, count)

    async def receive(self, project: str, body: bytes, signal: Signal = TRACES) -> Receipt:
        """Returns when every span or log record that the receipt does not name is safe on disk."""
        if len(body) > LARGE:
            request = await self.apart.looking.run(project, inspect, body, self.limits, signal)
        else:
            async with self._turn:  # one between two looks at the sockets: whoever is refused hears it in between
                await asyncio.sleep(0)
                request = inspect(body, self.limits, signal)
        if request is None:
            request = await self.apart.lane(len(body)).run(project, rewrite, body, self.limits, signal)
        if request.item_count:
            envelope = await self._wrap(request, project)
            if self._inbox.has_taken(envelope):
                self.ledger.repeated(request.signal, envelope.item_count)
            else:
                await self._inbox.append(envelope)
        for reason, count in request.faults.counts.items():
            self.ledger.rejected(request.signal, reason, count)
        return receipt_of(request.faults)

    async def _wrap(self, request: InspectedRequest, project: str) -> Envelope:
        received = time.time_ns()
        if len(request.body) > LARGE:
            around = partial(Envelope.around, request, project=project, received_unix_nano=received)
            return await self.apart.looking.run(project, around)
        return Envelope.around(request, project=project, received_unix_nano=received)


class Room:
    """One request's share of the bytes in flight: what it declared, or what arrived if that is more."""

    def __init__(self, admission: Admission, project: str) -> None:
        self._admission = admission
        self._project = project
        self._arrived = 0
        self.bytes = 0

    def expect(self, declared: int) -> None:
        """Set aside before the body is read: a request that begins can end, and the others are refused at once."""
        limit = self._admission.max_request_bytes
        if declared > limit:
            raise RequestTooLarge(f"{declared} bytes are over the limit of {limit}: send smaller batches")
        self._take(declared)

    def add(self, count: int) -> None:
        limit = self._admission.max_request_bytes
        if self._arrived + count > limit:
            raise RequestTooLarge(f"the request is larger than {limit} bytes: send smaller batches")
        self._arrived += count
        if self._arrived > self.bytes:
            self._take(self._arrived - self.bytes)

    def _take(self, count: int) -> None:
        self._admission.take_bytes(self._project, count, of_request=self.bytes)
        self.bytes += count


def receipt_of(faults: Faults) -> Receipt:
    total = faults.counts.total()
    more = f"; and {total - len(faults.named)} more" if total > len(faults.named) else ""
    return Receipt(total, "; ".join(faults.named) + more)
