"""A trace as a table, and the tables that are expected, which lie beside the programs.

trace → **tables** ← expected/<program>.txt
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).parent / "expected"

Span = dict[str, Any]

COLUMNS = {
    "kind": "step_kind",
    "dialect": "dialect",
    "agent": "agent_name",
    "tool": "tool_name",
    "conversation": "conversation_id",
    "provider": "provider_name",
    "asked for": "request_model",
    "answered": "response_model",
    "in": "input_tokens",
    "read": "cache_read_input_tokens",
    "written": "cache_write_input_tokens",
    "out": "output_tokens",
    "reasoned": "reasoning_output_tokens",
}


@dataclass(frozen=True)
class Expected:
    """What a scenario comes to: `totals` of the run, the texts that were `said`, and a line for each span."""

    totals: str
    said: tuple[str, ...]
    table: str


def expected_of(program: str) -> dict[str, Expected]:
    """A section is a line with the scenario's name, one with the totals, one with what was said, and the table."""
    sections = (EXPECTED / f"{program}.txt").read_text().split("## ")[1:]
    found = {}
    for section in sections:
        name, totals, said, table = section.split("\n", 3)
        found[name] = Expected(totals, tuple(said.removeprefix("said: ").split(" | ")), table.strip("\n"))
    return found


def all_expected() -> list[tuple[str, str]]:
    """Every program with each of its scenarios."""
    programs = sorted(path.stem for path in EXPECTED.glob("*.txt"))
    return [(program, scenario) for program in programs for scenario in expected_of(program)]


def totals_of(run: Span) -> str:
    calls = run["llm_calls"]
    return f"{calls} call{'' if calls == 1 else 's'}, {run['input_tokens']} in, {run['output_tokens']} out"


def table_of(spans: list[Span]) -> str:
    """A line a span, indented as the tree is, with those of the columns in which anything stands."""
    rows = [[f"{'  ' * depth}{span['name']}", *cells(span)] for depth, span in in_order(spans)]
    columns = [column for column in zip(["span", *COLUMNS], *rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def cells(span: Span) -> Iterator[str]:
    for name in COLUMNS.values():
        yield "" if span[name] is None else str(span[name])


def in_order(spans: list[Span]) -> Iterator[tuple[int, Span]]:
    """Each span after its parent, with how deep it lies."""
    ids = {span["span_id"] for span in spans}

    def below(parent: str | None, depth: int) -> Iterator[tuple[int, Span]]:
        for span in spans:
            if (span["parent_span_id"] if span["parent_span_id"] in ids else None) == parent:
                yield depth, span
                yield from below(span["span_id"], depth + 1)

    return below(None, 0)
