"""One accepted request with what we know about it; on its way to the store it is bytes with a head in front.

    receiver → admission → inspection → **envelope** → inbox → writer

The head is written by hand (tags and lengths), so a request is never copied to be wrapped.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from backtrail_ingest.inspection import InspectedRequest

ENVELOPES_TAG = b"\x0a"  # Batch.envelopes = 1
PROJECT_TAG = b"\x0a"  # Envelope.project = 1
RECEIVED_TAG = b"\x11"  # Envelope.received_unix_nano = 2, fixed64
REQUEST_TAG = b"\x1a"  # Envelope.request = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """`digest` names the request's bytes: damage on disk and repeated exports are found by it."""

    project: str
    received_unix_nano: int
    span_count: int
    digest: bytes
    request: bytes

    @classmethod
    def around(cls, request: InspectedRequest, *, project: str, received_unix_nano: int) -> Self:
        return cls(
            project=project,
            received_unix_nano=received_unix_nano,
            span_count=request.span_count,
            digest=sha256(request.body).digest(),
            request=request.body,
        )

    @property
    def head(self) -> bytes:
        """Everything that stands before the request inside a Batch, its own tag and length included."""
        project = self.project.encode()
        inner = (
            PROJECT_TAG
            + varint(len(project))
            + project
            + RECEIVED_TAG
            + self.received_unix_nano.to_bytes(8, "little")
            + REQUEST_TAG
            + varint(len(self.request))
        )
        return ENVELOPES_TAG + varint(len(inner) + len(self.request)) + inner


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
