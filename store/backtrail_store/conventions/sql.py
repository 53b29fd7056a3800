"""The table as functions of ClickHouse: constants to look up, so that their number costs an insert next to nothing.

table → **sql** (functions.sql) → schema/0004_conventions.sql → span_in_view, spans_view

What is known of an attribute is one number, its rank: the order in which it is asked, its dialect, its column, and what
is to be minded about it, each in bits of their own. So one look-up an attribute is enough.
"""

from collections.abc import Iterable, Iterator
from importlib import resources
from string import Template

from backtrail_store.cluster import quoted
from backtrail_store.conventions.table import ANY, STEP_KIND, Column, Conventions, Dialect, Source, conventions

FUNCTIONS = resources.files("backtrail_store.conventions") / "functions.sql"
HEAD = "-- Made of conventions.toml and functions.sql by `make conventions`.\n\n"

BARE, PROVIDER, OBJECT = 1, 2, 3  # in the two lowest bits
COLUMN, DIALECT, ORDER = 1 << 2, 1 << 9, 1 << 14


def schema() -> str:
    table = conventions()
    ranks = dict(_ranks(table))
    rules = [(ranks[rule.source.attribute], rule.values) for rule in table.step_kind]
    kinds = {f"{rank} {value}": kind for rank, values in rules for value, kind in values.items()}
    provider = table.column("provider_name")
    spellings = {name: name for name in provider.names} | dict(provider.known_as)
    reasons = table.column("finish_reasons").known_as
    return HEAD + Template(FUNCTIONS.read_text()).substitute(
        payloads=", ".join(map(quoted, table.payloads)),
        attributes=_list(ranks),
        ranks=_list(ranks.values()),
        columns="\n".join(_column(number, column) for number, column in enumerate(table.columns, 1)),
        dialects=_list(dialect.key for dialect in table.dialects if dialect.key != ANY),
        naming_dialects=_list(dialect.key for dialect in table.dialects if dialect.names_spans),
        scopes=",\n  ".join(_scopes(dialect) for dialect in table.dialects if dialect.scopes),
        no_providers=_list(provider.never),
        object=OBJECT,
        last_kind=max(rank for rank, _ in rules),
        values_of_kinds=_list(kinds),
        kinds=_list(kinds.values()),
        spellings_of_providers=_list(spellings),
        providers=_list(spellings.values()),
        spellings_of_reasons=_list(reasons),
        reasons=_list(reasons.values()),
    )


def _ranks(table: Conventions) -> Iterator[tuple[str, int]]:
    dialects = {dialect.key: number for number, dialect in enumerate(table.dialects, 1)}
    columns = {STEP_KIND: 0} | {column.name: number for number, column in enumerate(table.columns, 1)}
    for order, column, source in table.ranked():
        place = ORDER * order + DIALECT * dialects[source.dialect] + COLUMN * columns[column]
        yield source.attribute, place + _mind(column, source)
    yield from ((attribute, OBJECT) for attribute in table.objects)


def _column(number: int, column: Column) -> str:
    return f"CREATE OR REPLACE FUNCTION backtrail_said_{column.name} AS (canonical) -> canonical[{number}];"


def _mind(column: str, source: Source) -> int:
    return BARE if source.is_bare else PROVIDER if column == "provider_name" else 0


def _scopes(dialect: Dialect) -> str:
    tests = [
        f"startsWith(scope, {quoted(scope[:-1])})" if scope.endswith("*") else f"scope = {quoted(scope)}"
        for scope in dialect.scopes
    ]
    return f"{' OR '.join(tests)}, {quoted(dialect.key)}"


def _list(values: Iterable[object]) -> str:
    return f"[{', '.join(quoted(value) if isinstance(value, str) else str(value) for value in values)}]"
