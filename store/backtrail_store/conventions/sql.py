"""The table as functions of ClickHouse: constants to look up, so that their number costs an insert next to nothing.

table → **sql** (functions.sql) → schema/0004_conventions.sql → span_in_view, spans_view
"""

from collections.abc import Iterable
from importlib import resources
from string import Template

from backtrail_store.cluster import quoted
from backtrail_store.conventions.table import ANY, STEP_KIND, Dialect, conventions

FUNCTIONS = resources.files("backtrail_store.conventions") / "functions.sql"
HEAD = "-- Made of conventions.toml and functions.sql by `make conventions`.\n\n"


def schema() -> str:
    table = conventions()
    ranked = list(table.ranked())
    numbers = {dialect.key: number for number, dialect in enumerate(table.dialects, 1)}
    ranks_of_kinds = [rank for rank, column, _ in ranked if column == STEP_KIND]
    rules = zip(ranks_of_kinds, table.step_kind, strict=True)
    kinds = {f"{rank} {value}": kind for rank, rule in rules for value, kind in rule.values.items()}
    provider = table.column("provider_name")
    spellings = {name: name for name in provider.names} | dict(provider.known_as)
    return HEAD + Template(FUNCTIONS.read_text()).substitute(
        attributes=_list(source.attribute for _, _, source in ranked),
        ranks=_list(rank for rank, _, _ in ranked),
        columns=_list(column for _, column, _ in ranked),
        dialects_of_ranks=_list(numbers[source.dialect] for _, _, source in ranked),
        dialects=_list(dialect.key for dialect in table.dialects if dialect.key != ANY),
        scopes=",\n  ".join(_scopes(dialect) for dialect in table.dialects if dialect.scopes),
        ranks_of_provider=_list(rank for rank, column, _ in ranked if column == provider.name),
        no_providers=_list(provider.never),
        ranks_of_bare_words=_list(rank for rank, _, source in ranked if source.is_bare),
        ranks_of_kinds=_list(ranks_of_kinds),
        values_of_kinds=_list(kinds),
        kinds=_list(kinds.values()),
        spellings_of_providers=_list(spellings),
        providers=_list(spellings.values()),
        dialects_without_cache=_list(table.column("input_tokens").excludes_cache),
    )


def _scopes(dialect: Dialect) -> str:
    tests = [
        f"startsWith(scope, {quoted(scope[:-1])})" if scope.endswith("*") else f"scope = {quoted(scope)}"
        for scope in dialect.scopes
    ]
    return f"{' OR '.join(tests)}, {quoted(dialect.key)}"


def _list(values: Iterable[object]) -> str:
    return f"[{', '.join(quoted(value) if isinstance(value, str) else str(value) for value in values)}]"
