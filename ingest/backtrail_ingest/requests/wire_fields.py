"""Protobuf's wire, field by field, for requests that have to be taken apart.

    body → **wire_fields** → pieces (inspection), flatten → rewritten body

Only offsets into the body move around, so that what is skipped is never copied.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
LARGEST_NUMBER = (1 << 29) - 1
LONGEST_VARINT = 10
ONE_BYTE = [bytes((number,)) for number in range(0x80)]

Field = tuple[int, int, int, int, int]


class TooManyFields(Exception):
    """A request holds more than anybody needs: no more is read of it."""


@dataclass(slots=True)
class Budget:
    """How many fields may yet be read of a request: two bytes make one, and each takes time."""

    fields: int

    def pay(self, fields: int) -> None:
        """Raises TooManyFields."""
        self.fields -= fields
        if self.fields < 0:
            raise TooManyFields


class Wire:
    """One message's bytes."""

    def __init__(self, data: bytes, budget: Budget) -> None:
        self.data = data
        self.budget = budget

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of the message between the two: number, wire type, where each begins, where its content, its end.

        Raises DecodeError for what is no message, TooManyFields.
        """
        data, budget = self.data, self.budget
        at = start
        while at < end:
            begin = at
            tag = data[at]
            at += 1
            if tag > 0x7F:
                tag, at = read_varint(data, begin, end)
            number, wire_type = tag >> 3, tag & 7
            content = at
            if wire_type == LENGTH_DELIMITED:
                size, content = read_size(data, at, end)
                at = content + size
            elif wire_type == VARINT:
                at = read_varint(data, at, end)[1]
            elif wire_type == FIXED64:
                at += 8
            elif wire_type == FIXED32:
                at += 4
            else:
                raise DecodeError(f"a field of wire type {wire_type} at byte {begin}")
            if at > end or not 0 < number <= LARGEST_NUMBER:
                raise DecodeError(f"field {number} at byte {begin} is {at - begin} bytes long, {end - begin} are there")
            budget.fields -= 1
            if budget.fields < 0:
                raise TooManyFields
            yield number, wire_type, begin, content, at


def read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    number = shift = 0
    for place in range(at, min(at + LONGEST_VARINT, end)):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place + 1
        shift += 7
    raise DecodeError(f"the number at byte {at} has no end")


def read_size(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The same, for numbers that are nearly always of one byte."""
    if at < end and data[at] < 0x80:
        return data[at], at + 1
    return read_varint(data, at, end)


def varint(number: int) -> bytes:
    if number < 0x80:
        return ONE_BYTE[number]
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def delimited(number: int, content: bytes) -> bytes:
    """A field with a length: text, bytes or a message."""
    if number < 16 and len(content) < 0x80:
        return bytes((number << 3 | LENGTH_DELIMITED, len(content))) + content
    return varint(number << 3 | LENGTH_DELIMITED) + varint(len(content)) + content


def counted(number: int, count: int) -> bytes:
    return varint(number << 3 | VARINT) + varint(count)
