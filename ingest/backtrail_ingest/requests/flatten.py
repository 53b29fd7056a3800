"""A request that the store could not take as it is becomes one that it can, before the inbox.

    receiver → admission → inspection → **flatten** → envelope → inbox → writer

Only those come here that hold a nested value, a key twice, text that is not UTF-8, more than the limits allow, or a
span that cannot be stored; the others are never taken apart. Messages are walked on the wire, by OTLP's own
descriptors: a field nobody knows stays as it is, one of another wire type than its own is no field.
"""

import json
from array import array
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from backtrail import semconv
from backtrail_ingest.errors import RequestTooLarge, UndecodableRequest
from backtrail_ingest.requests.flat_values import Digests, FlatValues, Form
from backtrail_ingest.requests.flatness import is_fine
from backtrail_ingest.requests.inspected import Fault, Faults, InspectedRequest
from backtrail_ingest.requests.limits import DEFAULT_LIMITS, MOST_FIELDS, Limits
from backtrail_ingest.requests.nested import with_flat_values
from backtrail_ingest.requests.notes import Notes
from backtrail_ingest.requests.pieces import PIECE_BYTES
from backtrail_ingest.requests.shapes import ANY_VALUE, KEY_VALUE, LOGS_REQUEST, TRACES_REQUEST, FieldShape, Shape
from backtrail_ingest.requests.wire_fields import (
    VARINT,
    Budget,
    TooManyFields,
    Wire,
    counted,
    delimited,
    read_varint,
)
from backtrail_ingest.signals import LOGS, TRACES, Signal

NAME_SHOWN = 100
FIELDS_PER_MESSAGE = 15  # what writing one costs, in fields read: even an empty one takes its time
LARGEST_COUNT = (1 << 32) - 1
LARGEST_NUMBER = (1 << 64) - 1
SIGN_EXTENSION = LARGEST_NUMBER ^ LARGEST_COUNT
NO = bytes((Form.BOOL << 3, False))
OWNERS = {"Resource": "resource ", "InstrumentationScope": "scope ", "Event": "event ", "Link": "link "}
ITEMS = ("Span", "LogRecord")
SHAPES = {TRACES: TRACES_REQUEST, LOGS: LOGS_REQUEST}
TRACE_ID, SPAN_ID, PARENT_SPAN_ID, NAME = 1, 2, 4, 5  # fields of Span


def rewrite(
    body: bytes, limits: Limits = DEFAULT_LIMITS, signal: Signal = TRACES, *, is_thorough: bool = False
) -> InspectedRequest:
    """`is_thorough` takes apart what looks fine too. Raises UndecodableRequest, RequestTooLarge."""
    name = signal.request.DESCRIPTOR.name
    rewriting = Rewriting(Wire(body, Budget(MOST_FIELDS)), limits, signal, is_thorough=is_thorough)
    try:
        rewritten = rewriting.message(SHAPES[signal], 0, len(body), Notes())
    except DecodeError as error:
        raise UndecodableRequest(f"{len(body)} bytes are not an {name}: {error}") from error
    except TooManyFields as error:
        raise RequestTooLarge(
            f"the request holds more than {MOST_FIELDS} fields in {len(body)} bytes: send smaller batches"
        ) from error
    if rewriting.is_another_signal:
        raise UndecodableRequest(f"{len(body)} bytes are not an {name}: no {signal.items[:-1]} in it is one")
    return InspectedRequest(body=rewritten, item_count=rewriting.items, signal=signal, faults=rewriting.faults)


@dataclass(slots=True)
class Parts:
    """A message's fields by number: where each begins, where its content does, and its end."""

    single: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    merged: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    repeated: dict[int, "array[int]"] = field(default_factory=dict)
    attributes: dict[int, dict[str, tuple[int, int]]] = field(default_factory=dict)
    left_out: dict[int, int] = field(default_factory=dict)
    unknown: list[bytes] = field(default_factory=list)
    has_mistyped: bool = False


class Rewriting:
    """One request. Its methods take a message's place in the body and give the message as it shall be."""

    def __init__(self, wire: Wire, limits: Limits, signal: Signal, *, is_thorough: bool = False) -> None:
        self.wire = wire
        self.is_thorough = is_thorough
        self.signal = signal
        self.limits = limits
        self.values = FlatValues(wire, limits)
        self.faults = Faults()
        self.items = 0
        self._has_whole_items = False

    @property
    def is_another_signal(self) -> bool:
        """Protobuf reads one signal as another that has next to nothing, in fields of the wrong type."""
        return not self._has_whole_items and (self.items > 0 or self.faults.counts.total() > 0)

    def message(self, shape: Shape, start: int, end: int, notes: Notes) -> bytes:
        self.wire.budget.pay(FIELDS_PER_MESSAGE)
        if shape.name in ITEMS and not notes.sentences and (easily := self._written_easily(start, end)):
            self.items += 1
            self._has_whole_items = True
            return easily
        parts = self._parts(shape, start, end, notes)
        if shape.name == "Span":
            return self._span(shape, parts, notes)
        if shape.name == "LogRecord":
            return self._item(shape, parts, notes)
        return self._written(shape, parts, notes)

    def _written_easily(self, start: int, end: int) -> bytes | None:
        """Most spans stay as they came, or have but nested values: both are found and done in C."""
        if self.is_thorough or not 0 < end - start <= PIECE_BYTES:
            return None
        item = self.wire.data[start:end]
        return item if is_fine(item, self.limits, self.signal) else with_flat_values(item, self.limits, self.signal)

    def _span(self, shape: Shape, parts: Parts, notes: Notes) -> bytes:
        """Nothing if it cannot be stored."""
        if fault := self._find_fault(parts):
            self.faults.add(fault)
            self._has_whole_items = self._has_whole_items or TRACE_ID in parts.single
            return b""
        if not any(self._bytes(parts, PARENT_SPAN_ID)):
            parts.single.pop(PARENT_SPAN_ID, None)
        return self._item(shape, parts, notes)

    def _parts(self, shape: Shape, start: int, end: int, notes: Notes) -> Parts:
        parts = Parts()
        for number, wire_type, begin, content, stop in self.wire.fields(start, end):
            known = shape.fields.get(number)
            if known is None:
                parts.unknown.append(self.wire.data[begin:stop])
            elif known.wire_type != wire_type:
                parts.has_mistyped = True
            elif known.message is KEY_VALUE:
                self._take_attribute(parts, known, content, stop, notes)
            elif known.is_repeated:
                places = parts.repeated.setdefault(number, array("Q"))
                most = self.limits.of(known.name)
                if most is not None and len(places) >= 2 * most:
                    parts.left_out[number] = parts.left_out.get(number, 0) + 1
                else:
                    places.extend((content, stop))
            elif known.message is not None:
                parts.merged.setdefault(number, []).append((content, stop))
            else:
                parts.single[number] = begin, content, stop
        if parts.has_mistyped:
            notes.add("fields of a wrong type left out")
        for number, count in parts.left_out.items():
            notes.left_out(count, f"{OWNERS.get(shape.name, '')}{shape.fields[number].name}")
        return parts

    def _take_attribute(self, parts: Parts, known: FieldShape, start: int, end: int, notes: Notes) -> None:
        """Of two values for one key the last counts, as in the SDKs; of too many keys the first."""
        chosen = parts.attributes.setdefault(known.number, {})
        if len(chosen) >= self.limits.attributes:
            parts.left_out[known.number] = parts.left_out.get(known.number, 0) + 1
        else:
            key, value_start, value_end = self.values.member(start, end, notes)
            chosen[key] = value_start, value_end

    def _written(self, shape: Shape, parts: Parts, notes: Notes) -> bytes:
        fields = self._fields(shape, parts, notes)
        for number, chosen in parts.attributes.items():
            fields[number] = self._attributes(number, chosen, notes, {})
        return _joined(fields, parts)

    def _item(self, shape: Shape, parts: Parts, notes: Notes) -> bytes:
        """A span or a log record; its attributes come last, because they tell what was changed in it."""
        self.items += 1
        self._has_whole_items = self._has_whole_items or not parts.has_mistyped
        digests: Digests = {}
        fields = self._fields(shape, parts, notes, digests)
        number = next(known.number for known in shape.fields.values() if known.message is KEY_VALUE)
        chosen = parts.attributes.get(number, {})
        flagged = chosen.pop(semconv.FLAGGED, None)
        verdict = {
            key: chosen.pop(key) for key in (semconv.STEP_REPLAYABLE, semconv.STEP_UNREPLAYABLE_REASON) if key in chosen
        }
        written = self._attributes(number, chosen, notes, digests)
        if notes.unreplayable:
            written.append(_attribute(number, semconv.STEP_REPLAYABLE, NO))
            written.append(_text_attribute(number, semconv.STEP_UNREPLAYABLE_REASON, "too_large"))
        else:
            written += self._attributes(number, verdict, notes, {})
        if said := "; ".join(filter(None, (self._text(flagged, notes), notes.text))):
            written.append(_text_attribute(number, semconv.FLAGGED, said))
        elif flagged:
            written += self._attributes(number, {semconv.FLAGGED: flagged}, notes, {})
        fields[number] = written
        return _joined(fields, parts)

    def _fields(
        self, shape: Shape, parts: Parts, notes: Notes, digests: Digests | None = None
    ) -> dict[int, list[bytes]]:
        """All but the attributes, by number. What is said of a head, its texts and its resource, holds below it."""
        fields: dict[int, list[bytes]] = {}
        for number, (begin, content, stop) in parts.single.items():
            fields[number] = self._scalar(shape, shape.fields[number], begin, content, stop, notes)
        for number, count in parts.left_out.items():
            if counter := shape.dropped.get(number):
                sent = read_varint(self.wire.data, *parts.single[counter][1:])[0] if counter in parts.single else 0
                fields[counter] = [counted(counter, min(sent + count, LARGEST_COUNT))]
        for number, places in parts.merged.items():
            fields[number] = [delimited(number, self._merged(shape.fields[number], places, notes, digests))]
        is_head = shape.name.endswith(("Request", "Spans", "Logs"))
        for number, ranges in parts.repeated.items():
            fields[number] = self._repeated(shape.fields[number], ranges, notes, is_head=is_head)
        return fields

    def _scalar(
        self, shape: Shape, known: FieldShape, begin: int, content: int, stop: int, notes: Notes
    ) -> list[bytes]:
        if known.is_text:
            write = self.values.long_text if shape.name == "Status" else self.values.name
            text = write(content, stop, notes)
            return [delimited(known.number, text.encode())] if text else []
        if known.wire_type == VARINT:
            return [counted(known.number, _narrowed(known, read_varint(self.wire.data, content, stop)[0]))]
        return [self.wire.data[begin:stop]]

    def _merged(self, known: FieldShape, places: list[tuple[int, int]], notes: Notes, digests: Digests | None) -> bytes:
        """A message that stands there twice is one, says protobuf, whose fields are those of both."""
        rewriting, (start, end) = self, places[0]
        if len(places) > 1:
            both = b"".join(self.wire.data[start:end] for start, end in places)
            rewriting, start, end = Rewriting(Wire(both, self.wire.budget), self.limits, self.signal), 0, len(both)
        if known.message is ANY_VALUE:
            return rewriting.values.flat(known.name, start, end, notes, {} if digests is None else digests)
        assert known.message is not None
        return rewriting.message(known.message, start, end, notes)

    def _repeated(self, known: FieldShape, ranges: "array[int]", notes: Notes, *, is_head: bool) -> list[bytes]:
        written = []
        for at in range(0, len(ranges), 2):
            start, end = ranges[at], ranges[at + 1]
            if known.message is None:
                content = self.values.name(start, end, notes).encode()
            else:
                content = self.message(known.message, start, end, notes.below() if is_head else notes)
            if content or not is_head:
                written.append(delimited(known.number, content))
        return written

    def _attributes(
        self, number: int, chosen: dict[str, tuple[int, int]], notes: Notes, digests: Digests
    ) -> list[bytes]:
        sent = chosen.pop(semconv.DIGESTS, None)
        written = [
            _attribute(number, key, self.values.flat(key, start, end, notes, digests))
            for key, (start, end) in chosen.items()
        ]
        if digests:
            written.append(_text_attribute(number, semconv.DIGESTS, _with_digests(self._text(sent, notes), digests)))
        elif sent:
            written.append(_attribute(number, semconv.DIGESTS, self.values.flat(semconv.DIGESTS, *sent, notes, {})))
        return written

    def _text(self, place: tuple[int, int] | None, notes: Notes) -> str:
        """Nothing if there is no value, or if it is no text."""
        return (self.values.string(*place, notes) or "") if place else ""

    def _find_fault(self, parts: Parts) -> Fault | None:
        trace_id, span_id, parent_id = (self._bytes(parts, number) for number in (TRACE_ID, SPAN_ID, PARENT_SPAN_ID))
        name = self._bytes(parts, NAME)
        shown = f"span {name.decode(errors='replace')[:NAME_SHOWN]!r}"
        if len(trace_id) != 16 or not any(trace_id):
            return Fault("trace_id", f"{shown}: trace_id {_described(trace_id)}, wanted 16 bytes, not all zero")
        if len(span_id) != 8 or not any(span_id):
            return Fault("span_id", f"{shown}: span_id {_described(span_id)}, wanted 8 bytes, not all zero")
        if len(parent_id) not in (0, 8):
            return Fault("parent_span_id", f"{shown}: parent_span_id {_described(parent_id)}, wanted 8 bytes")
        if not name:
            return Fault("name", f"the span with span_id {span_id.hex()} has no name")
        return None

    def _bytes(self, parts: Parts, number: int) -> bytes:
        _, content, stop = parts.single.get(number, (0, 0, 0))
        return self.wire.data[content:stop]


def _joined(fields: dict[int, list[bytes]], parts: Parts) -> bytes:
    return b"".join([*(piece for number in sorted(fields) for piece in fields[number]), *parts.unknown])


def _attribute(number: int, key: str, value: bytes) -> bytes:
    name = delimited(1, key.encode()) if key else b""
    return delimited(number, name + delimited(2, value))


def _text_attribute(number: int, key: str, text: str) -> bytes:
    return _attribute(number, key, delimited(Form.STRING, text.encode()))


def _with_digests(sent: str, digests: Digests) -> str:
    """The SDK hashed its payloads before they left the program: what it says of them holds."""
    if not digests:
        return sent
    try:
        known = json.loads(sent) if sent else {}
    except ValueError:
        known = {}
    return json.dumps({**digests, **(known if isinstance(known, dict) else {})})


def _narrowed(known: FieldShape, number: int) -> int:
    """As protobuf reads a number that is too long for its field: without what is too much, and with its sign."""
    if not known.is_narrow:
        return number & LARGEST_NUMBER
    number &= LARGEST_COUNT
    return number | SIGN_EXTENSION if known.is_signed and number >> 31 else number


def _described(id_: bytes) -> str:
    shown = id_[:32].hex() + ("…" if len(id_) > 32 else "")
    return f"of {len(id_)} bytes ({shown})" if id_ else "missing"
