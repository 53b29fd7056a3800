"""sources.toml as it is read: where each dialect puts what was said, and in what order they are asked.

sources.toml → **table** → carrier, page
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, TypeAlias

TABLE = resources.files("backtrail_query.messages") / "sources.toml"
ANY = "any"  # of no dialect

Place: TypeAlias = Literal["attribute", "family", "members", "event"]


@dataclass(frozen=True, slots=True)
class Source:
    dialect: str
    names: tuple[str, ...]
    form: str
    place: Place = "attribute"
    member: str = ""
    is_generic: bool = False

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def is_bare(self) -> bool:
        """A word that any program may use for something else: it counts in spans of the dialect only."""
        return self.place == "attribute" and "." not in self.name and ":" not in self.name


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    means: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Table:
    forms: Mapping[str, str]
    fields: Mapping[str, Field]


@cache
def table() -> Table:
    said = tomllib.loads(TABLE.read_text())
    forms = said.pop("forms")
    return Table(forms, {name: Field(name, of["means"], tuple(map(_source, of["from"]))) for name, of in said.items()})


def _source(line: Mapping[str, Any]) -> Source:
    (dialect,) = line.keys() - {"in", "member", "form", "generic"}
    names = line[dialect]
    return Source(
        dialect,
        (names,) if isinstance(names, str) else tuple(names),
        line["form"],
        line.get("in", "attribute"),
        line.get("member", ""),
        line.get("generic", False),
    )
