"""Spans and records in one order, by resource and scope, in pieces that can be sent on their way one by one.

    as_sent → **grouped** → otlp_json, otlp_protobuf

The same rows give the same pieces, whatever order and however many requests they came in.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, TypeAlias, TypeVar

from backtrail_query.otlp.as_sent import SentLog, SentSpan
from backtrail_store.rows import AttributeValue
from backtrail_store.values import write_json

ITEMS_PER_PIECE = 500

T = TypeVar("T", SentSpan, SentLog)


@dataclass(frozen=True, slots=True)
class Source:
    """A resource or a scope: whatever stands above spans and says where they come from."""

    name: str
    version: str
    schema_url: str
    attributes: Mapping[str, AttributeValue]
    dropped_attributes_count: int

    @property
    def key(self) -> str:
        return write_json(
            [self.name, self.version, self.schema_url, dict(self.attributes), self.dropped_attributes_count]
        )


@dataclass(frozen=True, slots=True)
class OfScope(Generic[T]):
    scope: Source
    items: list[T]


@dataclass(frozen=True, slots=True)
class OfResource(Generic[T]):
    resource: Source
    scopes: list[OfScope[T]]


Piece: TypeAlias = list[OfResource[T]]


@dataclass(frozen=True, slots=True)
class _Placed(Generic[T]):
    resource_key: str
    scope_key: str
    item: T


def pieces(items: Sequence[T]) -> Iterator[Piece[T]]:
    """Each holds at most so many items; a resource or scope with more stands in several."""
    placed = sorted(
        (_Placed(resource_of(item).key, scope_of(item).key, item) for item in items),
        key=lambda one: (one.resource_key, one.scope_key, *place_of(one.item)),
    )
    for first in range(0, len(placed), ITEMS_PER_PIECE):
        yield [
            OfResource(
                resource_of(group[0].item),
                [
                    OfScope(scope_of(scoped[0].item), [one.item for one in scoped])
                    for scoped in grouped(group, lambda one: one.scope_key)
                ],
            )
            for group in grouped(placed[first : first + ITEMS_PER_PIECE], lambda one: one.resource_key)
        ]


def grouped(placed: Sequence[_Placed[T]], key: Callable[[_Placed[T]], str]) -> Iterator[list[_Placed[T]]]:
    for _, group in groupby(placed, key=key):
        yield list(group)


def place_of(item: SentSpan | SentLog) -> tuple[int, str, str]:
    if isinstance(item, SentSpan):
        return item.start_time_unix_nano, item.span_id, ""
    # Records have no id: what tells one from another is everything in them.
    row = item.row
    return (
        item.time_unix_nano,
        row.span_id,
        write_json([row.event_name, row.body, item.attributes, row.severity_number]),
    )


def resource_of(item: SentSpan | SentLog) -> Source:
    row = item.row
    return Source(
        name="",
        version="",
        schema_url=row.resource_schema_url,
        attributes=dict(sorted(row.resource.items())),
        dropped_attributes_count=row.resource_dropped_attributes_count,
    )


def scope_of(item: SentSpan | SentLog) -> Source:
    row = item.row
    return Source(
        name=row.scope_name,
        version=row.scope_version,
        schema_url=row.scope_schema_url,
        attributes=dict(sorted(row.scope_attributes.items())),
        dropped_attributes_count=row.scope_dropped_attributes_count,
    )
