"""conventions.toml as it is read: which attribute says what, and in what order they are asked.

conventions.toml → **table** → sql, page
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

TABLE = resources.files("backtrail_store.conventions") / "conventions.toml"
STEP_KIND = "step_kind"
SECTIONS = ("dialects", "objects", "payloads", STEP_KIND)
ANY = "any"  # not a dialect: the last of them, so that its number is that of no name


@dataclass(frozen=True, slots=True)
class Dialect:
    key: str
    name: str
    scopes: tuple[str, ...] = ()
    names_spans: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """An attribute that one dialect uses for a column; `until` is the version of the conventions that dropped it."""

    dialect: str
    attribute: str
    until: str = ""

    @property
    def is_bare(self) -> bool:
        """A word that any program may use for something else: it counts in spans of the dialect's own scope only."""
        return "." not in self.attribute and ":" not in self.attribute


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    means: str
    sources: tuple[Source, ...]
    never: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    known_as: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KindRule:
    """A value of this attribute that is listed says what the span does."""

    source: Source
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Conventions:
    """`objects` are attributes that hold JSON objects, whose members are asked as attributes of their own; `payloads`
    are those that hold what was said, and are kept apart."""

    dialects: tuple[Dialect, ...]
    objects: tuple[str, ...]
    payloads: tuple[str, ...]
    step_kind: tuple[KindRule, ...]
    columns: tuple[Column, ...]

    def ranked(self) -> Iterator[tuple[int, str, Source]]:
        """Every source with the column it is for, numbered in the order in which they are asked."""
        kinds = [(STEP_KIND, rule.source) for rule in self.step_kind]
        columns = [(column.name, source) for column in self.columns for source in column.sources]
        for rank, (column, source) in enumerate(kinds + columns, 1):
            yield rank, column, source

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


@cache
def conventions() -> Conventions:
    table = tomllib.loads(TABLE.read_text())
    return Conventions(
        dialects=tuple(
            Dialect(key, said["name"], tuple(said.get("scopes", ())), said.get("names_spans", False))
            for key, said in table["dialects"].items()
        ),
        objects=tuple(table["objects"]["attributes"]),
        payloads=tuple(table["payloads"]["attributes"]),
        step_kind=tuple(
            KindRule(_source({key: name for key, name in rule.items() if key != "values"}), rule["values"])
            for rule in table[STEP_KIND]
        ),
        columns=tuple(_column(name, said) for name, said in table.items() if name not in SECTIONS),
    )


def _column(name: str, said: Mapping[str, Any]) -> Column:
    return Column(
        name=name,
        means=said["means"],
        sources=tuple(map(_source, said["from"])),
        never=tuple(said.get("never", ())),
        names=tuple(said.get("names", ())),
        known_as=said.get("known_as", {}),
    )


def _source(line: Mapping[str, str]) -> Source:
    """`{ dialect = "attribute", until = "1.27" }`."""
    (dialect,) = line.keys() - {"until"}
    return Source(dialect, line[dialect], line.get("until", ""))
