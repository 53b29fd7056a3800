"""One attribute's value, from OTLP's recursive form to what a column takes.

    flatten → **flat_values** → store's values (JSON text)

Scalars and lists of text stay what they are. Everything deeper becomes JSON text, which travels in the map's place.
Text that is not UTF-8 is mended; what is too long is cut, and its length and hash are kept beside it.
"""

from enum import IntEnum
from hashlib import sha256
from struct import unpack

from backtrail_ingest.requests.limits import MOST_LEVELS, Limits
from backtrail_ingest.requests.nested_values import NestedValues, Unusual
from backtrail_ingest.requests.notes import Notes
from backtrail_ingest.requests.shapes import ANY_VALUE
from backtrail_ingest.requests.wire_fields import Wire, delimited, read_size, read_varint
from backtrail_store.rows import AttributeValue
from backtrail_store.values import write_json

STRING_TAG, KEY_TAG, VALUE_TAG = 0x0A, 0x0A, 0x12
Digests = dict[str, list[int | str]]


class Form(IntEnum):
    """The fields of AnyValue."""

    STRING = 1
    BOOL = 2
    INT = 3
    DOUBLE = 4
    ARRAY = 5
    KVLIST = 6  # and JSON text, in what the store reads
    BYTES = 7


class FlatValues:
    """Those of one request. `digests` collects the length and hash of each value that was cut."""

    def __init__(self, wire: Wire, limits: Limits) -> None:
        self.wire = wire
        self.limits = limits
        self._nested = NestedValues(wire.budget, name_length=limits.name_length)

    def flat(self, key: str, start: int, end: int, notes: Notes, digests: Digests) -> bytes:
        """The content of an AnyValue that is one level deep."""
        form, begin, content, stop = self._find(start, end)
        match form:
            case None:
                return b""
            case Form.ARRAY:
                return self._flat_array(key, self._read_whole(start, end, notes), notes, digests)
            case Form.KVLIST:
                return self._json(key, self._read_whole(start, end, notes), notes, digests)
            case Form.STRING:
                text = self.text(content, stop, notes).encode()
                return delimited(Form.STRING, self._cut_text(key, text, notes, digests))
            case Form.BYTES:
                return delimited(Form.BYTES, self._cut(key, self.wire.data[content:stop], notes, digests))
            case Form.BOOL:
                return bytes((Form.BOOL << 3, self._integer(content, stop) != 0))
            case _:
                return self.wire.data[begin:stop]

    def text(self, start: int, end: int, notes: Notes) -> str:
        data = self.wire.data[start:end]
        try:
            return data.decode()
        except UnicodeDecodeError:
            notes.add("invalid text")
            return data.decode(errors="replace")

    def name(self, start: int, end: int, notes: Notes) -> str:
        name = self.text(start, end, notes)
        if len(name) <= self.limits.name_length:
            return name
        notes.add(f"a name cut at {self.limits.name_length} of {len(name)} characters")
        return name[: self.limits.name_length]

    def long_text(self, start: int, end: int, notes: Notes) -> str:
        """A status message: it may be as long as a value."""
        return self._cut_text("status message", self.text(start, end, notes).encode(), notes, {}).decode()

    def string(self, start: int, end: int, notes: Notes) -> str | None:
        """None if the value is of another kind."""
        form, _, content, stop = self._find(start, end)
        return self.text(content, stop, notes) if form is Form.STRING else None

    def _find(self, start: int, end: int) -> tuple[Form | None, int, int, int]:
        """Which field is set, and where; the last one if there are several, as protobuf has it."""
        data = self.wire.data
        if (
            end - start > 1
            and data[start] == STRING_TAG
            and data[start + 1] < 0x80
            and start + 2 + data[start + 1] == end
        ):
            return Form.STRING, start, start + 2, end  # a short text and nothing else, as most values are
        found: tuple[Form | None, int, int, int] = (None, 0, 0, 0)
        for number, wire_type, begin, content, stop in self.wire.fields(start, end):
            if number <= Form.BYTES and ANY_VALUE.fields[number].wire_type == wire_type:
                found = Form(number), begin, content, stop
        return found

    def _read_whole(self, start: int, end: int, notes: Notes) -> AttributeValue:
        try:
            return self._nested.read(self.wire.data[start:end])
        except Unusual:
            return self._read(start, end, 1, notes)

    def _read(self, start: int, end: int, level: int, notes: Notes) -> AttributeValue:
        form, _, content, stop = self._find(start, end)
        if form in (Form.ARRAY, Form.KVLIST) and level > MOST_LEVELS:
            notes.add(f"values below level {MOST_LEVELS} left out")
            return None
        match form:
            case None:
                return None
            case Form.ARRAY:
                return self._elements(content, stop, level, notes)
            case Form.KVLIST:
                return self._members(content, stop, level, notes)
            case Form.STRING:
                return self.text(content, stop, notes)
            case Form.BYTES:
                return self.wire.data[content:stop]
            case Form.BOOL:
                return self._integer(content, stop) != 0
            case Form.INT:
                integer = self._integer(content, stop)
                return integer - (1 << 64) if integer >> 63 else integer
            case Form.DOUBLE:
                double: float = unpack("<d", self.wire.data[content:stop])[0]
                return double

    def _elements(self, start: int, end: int, level: int, notes: Notes) -> list[AttributeValue]:
        return [
            self._read(content, stop, level + 1, notes)
            for number, wire_type, _, content, stop in self.wire.fields(start, end)
            if (number, wire_type) == (1, 2)
        ]

    def _members(self, start: int, end: int, level: int, notes: Notes) -> dict[str, AttributeValue]:
        members = {}
        for number, wire_type, _, content, stop in self.wire.fields(start, end):
            if (number, wire_type) == (1, 2):
                key, value_start, value_end = self.member(content, stop, notes)
                members[key] = self._read(value_start, value_end, level + 1, notes)
        return members

    def member(self, start: int, end: int, notes: Notes) -> tuple[str, int, int]:
        """A KeyValue's key, and where its value is."""
        data = self.wire.data
        if end - start > 3 and data[start] == KEY_TAG and data[start + 1] < 0x80:
            place = start + 2 + data[start + 1]
            if place + 1 < end and data[place] == VALUE_TAG:
                size, value_start = read_size(data, place + 1, end)
                if value_start + size == end:  # a short key, its value and nothing else, as nearly all are
                    return self.name(start + 2, place, notes), value_start, end
        key, value_start, value_end = "", start, start
        for number, wire_type, _, content, stop in self.wire.fields(start, end):
            if (number, wire_type) == (1, 2):
                key = self.name(content, stop, notes)
            elif (number, wire_type) == (2, 2):
                value_start, value_end = content, stop
        return key, value_start, value_end

    def _integer(self, start: int, end: int) -> int:
        return read_varint(self.wire.data, start, end)[0] & 0xFFFF_FFFF_FFFF_FFFF

    def _flat_array(self, key: str, value: AttributeValue, notes: Notes, digests: Digests) -> bytes:
        elements = value if isinstance(value, list) else []
        texts = [element for element in elements if isinstance(element, str)]
        if len(texts) == len(elements):
            encoded = b"".join(delimited(1, delimited(Form.STRING, text.encode())) for text in texts)
            if len(encoded) <= self.limits.value_bytes:
                return delimited(Form.ARRAY, encoded)
        return self._json(key, elements, notes, digests)

    def _json(self, key: str, value: AttributeValue, notes: Notes, digests: Digests) -> bytes:
        """A part of a JSON text is no JSON: what is cut becomes a string."""
        text = write_json(value).encode()
        if len(text) <= self.limits.value_bytes:
            return delimited(Form.KVLIST, text)
        return delimited(Form.STRING, self._cut_text(key, text, notes, digests))

    def _cut_text(self, key: str, text: bytes, notes: Notes, digests: Digests) -> bytes:
        """Never within a character."""
        cut = self._cut(key, text, notes, digests)
        return text if cut is text else cut.decode(errors="ignore").encode()

    def _cut(self, key: str, data: bytes, notes: Notes, digests: Digests) -> bytes:
        limit = self.limits.value_bytes
        if len(data) <= limit:
            return data
        notes.cut(key, len(data), limit)
        digests[key] = [len(data), sha256(data).hexdigest()]
        return data[:limit]
