"""Where what was said lies: a span's attributes, its events, and the log records made in it.

SpanRow, [LogRow], table → **carrier** → reading
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backtrail_query.messages.families import read_family
from backtrail_query.messages.parts import Part, parsed_once
from backtrail_query.messages.recognition import says_nothing
from backtrail_query.messages.table import ANY, Place, Source
from backtrail_store.log_rows import LogRow
from backtrail_store.rows import SpanRow
from backtrail_store.values import json_value

# Steps of which what they took and gave is no message.
NOT_SAID = frozenset({"tool", "retriever", "reranker", "embedding"})
_CONTENT = "gen_ai.event.content"  # a whole event as JSON text, of Azure's instrumentations


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the span, or a log record."""

    name: str
    time_unix_nano: int
    attributes: Mapping[str, Any]
    body: Any = None
    is_log: bool = False

    def content(self) -> tuple[dict[str, Any], str]:
        """Its body, or its attributes, which are short words of the message; and where that is."""
        place, said = (
            ("/body", self.body)
            if self.body is not None
            else (f"/attributes/{_CONTENT}", self.attributes.get(_CONTENT))
        )
        said = parsed_once(said)
        if isinstance(said, dict):
            return {**said, "event.name": self.name}, place
        words = {_short(key): parsed_once(value) for key, value in self.attributes.items()}
        return {**words, **({"content": said} if said is not None else {}), "event.name": self.name}, "/attributes"

    @property
    def kind(self) -> str:
        return "log" if self.is_log else "event"

    def member(self, name: str) -> Any:
        value = self.attributes.get(name)
        return self.body.get(name) if value is None and isinstance(self.body, dict) else value


@dataclass(frozen=True, slots=True)
class Root:
    """A value of which parts may be told by where they lie in it."""

    source: str
    name: str
    prefix: str
    value: Any


@dataclass(frozen=True, slots=True)
class Said:
    """What a source says: as it came, and what that is if it is JSON."""

    source: Source
    raw: Any
    value: Any
    roots: Sequence[Root]
    dropped: int = 0

    @property
    def told_by(self) -> dict[str, str]:
        return {"source": self.roots[0].source, "name": self.source.name, "dialect": self.source.dialect}


@dataclass(frozen=True, slots=True)
class Carrier:
    attributes: Mapping[str, Any]
    happenings: Sequence[Happening]
    dialect: str
    step_kind: str

    def asked(self, sources: Iterable[Source]) -> Iterator[Said]:
        """What says something, in the order in which it is asked."""
        for source in sources:
            if self._counts(source) and (said := _LOOK[source.place](self, source)) is not None:
                yield said

    def emptied(self, sources: Iterable[Source]) -> Any:
        """An empty object or list, where nothing says more: a tool may be called with nothing, and find nothing."""
        said = (parsed_once(self.attributes.get(each.name)) for each in sources if self._counts(each))
        return next((value for value in said if value in ({}, [])), None)

    def _counts(self, source: Source) -> bool:
        """A bare word of no dialect is believed of a step only."""
        if not source.is_bare:
            return True
        return source.dialect == self.dialect or (source.dialect == ANY and bool(self.step_kind))


def carrier_of(span: SpanRow, logs: Iterable[LogRow] = ()) -> Carrier:
    events = [Happening(event.name, event.time_unix_nano, _members(event.attributes)) for event in span.events]
    records = [
        Happening(
            log.event_name or str(log.attributes.get("event.name", "")),
            log.time_unix_nano,
            _members(log.attributes),
            json_value(log.body),
            is_log=True,
        )
        for log in logs
    ]
    in_order = sorted([*events, *records], key=lambda happening: happening.time_unix_nano)
    return Carrier(_members(span.attributes), in_order, span.dialect, span.step_kind)


def place_blobs(parts: Iterable[Part], roots: Sequence[Root]) -> None:
    """Puts into each blob where its bytes lie instead of the bytes."""
    blobs: dict[int, list[Part]] = {}
    for part in parts:
        blobs.setdefault(id(part["reference"]), []).append(part)
    waiting = [(root, "", root.value) for root in roots] if blobs else []
    unplaced = set(blobs)
    while waiting and unplaced:
        root, pointer, value = waiting.pop()
        if id(value) in unplaced:
            unplaced.discard(id(value))
            _tell(blobs[id(value)], _reference(root, pointer))
        elif isinstance(value, dict):
            waiting += [(root, f"{pointer}/{_escaped(key)}", each) for key, each in value.items()]
        elif isinstance(value, list):
            waiting += [(root, f"{pointer}/{number}", each) for number, each in enumerate(value)]
    for missing in unplaced:  # in JSON text within JSON: all that can be told is in which
        _tell(blobs[missing], _reference(roots[0], ""))


def _tell(blobs: Iterable[Part], reference: dict[str, str]) -> None:
    for blob in blobs:
        blob["reference"] = reference


def _reference(root: Root, pointer: str) -> dict[str, str]:
    return {"source": root.source, "name": root.name, "pointer": root.prefix + pointer}


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _short(key: str) -> str:
    return key.removeprefix("gen_ai.message.").removeprefix("gen_ai.event.").removeprefix("db.query.result.")


def _members(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: json_value(value) for key, value in values.items()}


def _attribute(carrier: Carrier, source: Source) -> Said | None:
    raw = carrier.attributes.get(source.name)
    if says_nothing(raw):
        return None
    value = parsed_once(raw)
    return None if says_nothing(value) else Said(source, raw, value, [Root("attribute", source.name, "", value)])


def _family(carrier: Carrier, source: Source) -> Said | None:
    family = read_family(carrier.attributes, source.name)
    if not family.entries:
        return None
    roots = [
        Root("attribute", key, "", value)
        for key, value in carrier.attributes.items()
        if key.startswith(f"{source.name}.")
    ]
    return Said(source, family.entries, family.entries, roots, family.dropped)


def _prefixed(carrier: Carrier, source: Source) -> Said | None:
    start = f"{source.name}."
    found = {
        key.removeprefix(start): parsed_once(value)
        for key, value in carrier.attributes.items()
        if key.startswith(start)
    }
    roots = [Root("attribute", start + key, "", value) for key, value in found.items()]
    return Said(source, found, found, roots) if found else None


def _event(carrier: Carrier, source: Source) -> Said | None:
    found = [happening for happening in carrier.happenings if happening.name in source.names]
    if not source.member:
        contents = [happening.content() for happening in found]
        roots = [
            Root(happening.kind, happening.name, place, content)
            for happening, (content, place) in zip(found, contents, strict=True)
        ]
        said = [content for content, _ in contents]
        return Said(source, said, said, roots) if found else None
    for happening in found:
        raw = happening.member(source.member)
        if not says_nothing(raw):
            value = parsed_once(raw)
            return Said(
                source, raw, value, [Root(happening.kind, happening.name, f"/attributes/{source.member}", value)]
            )
    return None


_LOOK: Mapping[Place, Any] = {"attribute": _attribute, "family": _family, "members": _prefixed, "event": _event}
