"""A large request as several small ones that say the same: none unfolds into more memory than there is.

    inspection → **pieces** → inspection

In upb's memory a message of two bytes takes seventy: 64 MiB of empty events would take 2.5 GB at once, and so would
any C parser. A request that is only looked at is looked at piece by piece; one that is rewritten is walked on the wire.
"""

from array import array
from collections.abc import Iterator

from backtrail_ingest.requests.wire_fields import LENGTH_DELIMITED, Budget, Wire, delimited

PIECE_BYTES = 2 << 20
HEAD_BYTES = 64 << 10  # a resource or scope is repeated in each piece
BYTES_PER_FIELD = 50  # a span that can be stored has more

CHILDREN = (1, 2, 2)  # resource_spans, scope_spans, spans; the numbers are those of logs too


class TooDense(Exception):
    """The request is made of too many messages, or of too large heads, to be looked at in passing."""


def pieces_of(body: bytes) -> Iterator[bytes]:
    """The body itself if it is small. Raises DecodeError, TooDense, TooManyFields."""
    if len(body) <= PIECE_BYTES:
        yield body
    else:
        yield from _pieces(Wire(body, Budget(len(body) // BYTES_PER_FIELD)), 0, len(body), 0)


def _pieces(wire: Wire, start: int, end: int, level: int) -> Iterator[bytes]:
    """The message between the two as several, each with a part of its children and with all the rest."""
    head, children = _split(wire, start, end, CHILDREN[level])
    pending: list[bytes] = []
    size = 0
    for at in range(0, len(children), 3):
        begin, content, stop = children[at : at + 3]
        if stop - begin > PIECE_BYTES:
            if level + 1 == len(CHILDREN):
                raise TooDense
            for piece in _pieces(wire, content, stop, level + 1):
                yield head + delimited(CHILDREN[level], piece)
            continue
        pending.append(wire.data[begin:stop])
        size += stop - begin
        if size > PIECE_BYTES:
            yield head + b"".join(pending)
            pending, size = [], 0
    if pending or not children:
        yield head + b"".join(pending)


def _split(wire: Wire, start: int, end: int, child: int) -> tuple[bytes, "array[int]"]:
    head = bytearray()
    children = array("Q")
    for number, wire_type, begin, content, stop in wire.fields(start, end):
        if (number, wire_type) == (child, LENGTH_DELIMITED):
            children.extend((begin, content, stop))
        elif len(head) + stop - begin > HEAD_BYTES:
            raise TooDense
        else:
            head += wire.data[begin:stop]
    return bytes(head), children
