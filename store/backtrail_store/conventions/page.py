"""The table for people.

table → **page** → docs/conventions.md
"""

from collections.abc import Iterable, Iterator

from backtrail_store.conventions.table import ANY, Column, Conventions, Dialect, KindRule, Source, conventions

HEAD = """\
# Conventions

Agents are instrumented in many dialects. Whatever arrives is asked for the same things, and what it says is put into
columns of one name; every attribute stays as it was sent beside them. The lines below are asked in order, and the
first attribute that has a value is taken.

This page is made of [conventions.toml](../store/backtrail_store/conventions/conventions.toml) by `make conventions`:
a dialect that is missing is a few lines there.
"""
DIALECTS = """\
## Dialects

A span's `dialect` is that of its instrumentation scope, or the first of these whose attributes it carries.
"""
KINDS = """\
## What a span does

`step_kind` is what Backtrail's own SDK says, or the first of these attributes with a value that is listed. `span`
means none of the kinds, and ends the search. A span of which nothing is known is a tool call if it names a tool or a
tool call, and a model call if it names a model.
"""
OBJECTS = """\
## Objects

These attributes hold JSON objects. Their members are asked as attributes with dotted names:
"""
PAYLOADS = """\
## What was said

These attributes hold inputs, answers and messages. As whatever is longer than a kilobyte, they are kept apart from the
others, each text once a trace and for as long as [texts are kept](keeping.md):
"""
TOKENS = """\
Input includes what was read from the provider's cache and written to it, output includes reasoning, as OpenTelemetry
has it. Who reports more cached tokens than input, or a total that is the sum of all of them, has left the cache out of
the input: there, it is added. Where a total and one part are reported, the other part is the rest.
"""


def page() -> str:
    return "\n".join(_parts(conventions()))


def _parts(table: Conventions) -> Iterator[str]:
    names = {dialect.key: dialect.name for dialect in table.dialects}
    yield HEAD
    yield DIALECTS
    yield _rows(("dialect", "name", "scopes"), (_dialect(each) for each in table.dialects if each.key != ANY))
    yield KINDS
    yield _rows(("attribute", "dialect", "kinds"), (_kind(rule, names) for rule in table.step_kind))
    yield OBJECTS
    yield ", ".join(f"`{attribute}`" for attribute in table.objects) + ".\n"
    yield PAYLOADS
    yield ", ".join(f"`{attribute}`" for attribute in table.payloads) + ".\n"
    for column in table.columns:
        yield from _column(column, names)


def _dialect(dialect: Dialect) -> tuple[str, ...]:
    return f"`{dialect.key}`", dialect.name, ", ".join(f"`{scope}`" for scope in dialect.scopes)


def _kind(rule: KindRule, names: dict[str, str]) -> tuple[str, ...]:
    by_kind: dict[str, list[str]] = {}
    for value, kind in rule.values.items():
        by_kind.setdefault(kind, []).append(f"`{value}`")
    kinds = "; ".join(f"{', '.join(values)} → {kind}" for kind, values in by_kind.items())
    return f"`{rule.source.attribute}`", names[rule.source.dialect], kinds


def _column(column: Column, names: dict[str, str]) -> Iterator[str]:
    yield f"## {column.name}\n"
    yield f"{column.means[0].upper()}{column.means[1:]}.\n"
    if column.name == "input_tokens":
        yield TOKENS
    if column.never:
        yield f"Never {', '.join(f'`{value}`' for value in column.never)}: that is who made the span.\n"
    if column.known_as:
        spellings = ", ".join(f"`{said}` → `{name}`" for said, name in column.known_as.items())
        yield f"Other spellings: {spellings}.{' Of `openai.chat` the first part counts.' if column.names else ''}\n"
    yield _rows(("attribute", "dialect"), (_source(source, names) for source in column.sources))


def _source(source: Source, names: dict[str, str]) -> tuple[str, ...]:
    note = f", until {source.until}" if source.until else ""
    note += ", in its own scope only" if source.is_bare else ""
    return f"`{source.attribute}`", names[source.dialect] + note


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
