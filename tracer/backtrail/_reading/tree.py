"""A run's tree for people's eyes: what it did in one column, time, tokens and cost beside it.

answers → **tree** → render
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from backtrail._reading.answers import Node, RunStatus
from backtrail._reading.figures import cost, duration, tokens
from backtrail._reading.log_lines import Records, log_lines, log_summary
from backtrail._reading.visible import one_line

MARKS: Mapping[RunStatus, tuple[str, str]] = {
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("⊘", "yellow"),
    "running": ("●", "blue"),
    "incomplete": ("◌", "yellow"),
}
FIGURES = ("took", "tokens", "cost")
NO_FIGURES = ("", "", "")
GAP = "  "
Line: TypeAlias = tuple[str, Text, tuple[str, str, str]]  # guide, what is said, figures

# Why a span's tokens are not in the sums above it: a mark beside it, and words below the tree.
NOT_COUNTED: Mapping[str, tuple[str, str]] = {
    "same_call_as": ("≡", "the same call, told by two instrumentations: counted once"),
    "sum_of_calls_below": ("Σ", "the sum of what lies below: not counted again"),
}

OPERATIONS = ("invoke_agent ", "execute_tool ", "chat ", "retrieval ", "embeddings ")


class TreeTable:
    """One line for each node; names give way to the figures. Not rich's table: that takes 0.3 ms a line, and a run may
    have ten thousand."""

    def __init__(self, root: Node, records: Records | None = None) -> None:
        """`records` are shown each on a line of its own; without them a span's are only counted."""
        walked = list(_walk(root))
        self._lines = [line for guide, below, node in walked for line in _lines_of(guide, below, node, records)]
        found = {_not_counted(node) for _, _, node in walked}
        self._footnotes = [f"{mark} {words}" for why, (mark, words) in NOT_COUNTED.items() if why in found]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = zip(FIGURES, *(figures for _, _, figures in self._lines), strict=True)
        widths = [max(map(len, column)) for column in columns]
        room = max(1, options.max_width - sum(widths) - len(GAP) * len(widths))
        yield Segment(" " * room)
        yield Segment(_in_line(FIGURES, widths), console.get_style("dim"))
        yield Segment.line()
        for guide, text, figures in self._lines:
            label = Text.assemble((_cut(guide, room // 2), "dim"), text)
            label.truncate(room, overflow="ellipsis", pad=True)
            yield from label.render(console)
            yield Segment(_in_line(figures, widths))
            yield Segment.line()
        for footnote in self._footnotes:
            yield Text(footnote, style="dim")


def _cut(guide: str, room: int) -> str:
    """Of a guide into great depth the end, so that names are still to be seen."""
    return guide if len(guide) <= room else f"…{guide[len(guide) - room + 1 :]}"


def _lines_of(guide: str, below: str, node: Node, records: Records | None) -> Iterator[Line]:
    yield guide, _label(node), _figures(node)
    spans = [node, *([attempt] if (attempt := _only_attempt(node)) else ())]
    if records is not None:
        for text in log_lines([record for span in spans for record in records.get(span.span_id, ())]):
            yield below, text, NO_FIGURES
    elif logs := [log for span in spans for log in span.logs]:
        yield below, log_summary(logs), NO_FIGURES


def _figures(node: Node) -> tuple[str, str, str]:
    return (
        duration(node.duration_ns) if not node.is_pending else "…",
        tokens(node.input_tokens, node.output_tokens),
        cost(node.cost_usd) if node.cost_usd is not None else "",
    )


def _in_line(figures: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(GAP + figure.rjust(width) for figure, width in zip(figures, widths, strict=True))


def _walk(root: Node) -> Iterator[tuple[str, str, Node]]:
    """Each node with the guides in front of it and of what is said below it, from the top down."""
    waiting = [("", "", root)]
    while waiting:
        guide, below, node = waiting.pop()
        children = _shown_below(node)
        yield guide, below + ("│  " if children else "   "), node
        last = len(children) - 1
        for index in range(last, -1, -1):
            branch, stem = ("└─ ", "   ") if index == last else ("├─ ", "│  ")
            waiting.append((below + branch, below + stem, children[index]))


def _shown_below(node: Node) -> Sequence[Node]:
    """A step's only attempt that ended as the step did says nothing new: what lies in it is shown in its place."""
    attempt = _only_attempt(node)
    if attempt is None:
        return node.children
    return [below for child in node.children for below in (child.children if child is attempt else (child,))]


def _only_attempt(node: Node) -> Node | None:
    attempts = [child for child in node.children if child.kind == "attempt"]
    return attempts[0] if len(attempts) == 1 and attempts[0].status == node.status else None


def short_name(name: str) -> str:
    """The user's part of a span's name, on one line."""
    for operation in OPERATIONS:
        name = name.removeprefix(operation)
    return one_line(name)


def _label(node: Node) -> Text:
    mark, style = ("↻", "cyan") if node.replayed else MARKS[node.status]
    name = short_name(node.name)
    label = Text.assemble((mark, style), " ", (name, "bold" if node.kind in ("run", "agent") else ""))
    if (note := _note(node)) and note != name:
        label.append(f"  {note}", style="dim")
    if (why := _not_counted(node)) in NOT_COUNTED:
        label.append(f"  {NOT_COUNTED[why][0]}", style="dim")
    if node.status == "failed" and (node.error_message or node.error_type) and not _is_error_of_a_child(node):
        label.append(f"  {one_line(_first_line(node.error_message or node.error_type or ''))}", style="red")
    return label


def _not_counted(node: Node) -> str:
    """Runs and agents show the sum of what was counted below them, whatever they say themselves."""
    return "" if node.kind in ("run", "agent") else node.not_counted_because or ""


def _is_error_of_a_child(node: Node) -> bool:
    return any(child.status == "failed" and child.error_message == node.error_message for child in _shown_below(node))


def _note(node: Node) -> str:
    if node.replayed:
        return "from the record"
    if node.status in ("running", "incomplete", "cancelled"):
        return node.status if node.status != "incomplete" else "never ended"
    if node.is_orphan:
        return "parent missing"
    if node.kind == "step":
        return node.request_model or (node.step_kind if node.step_kind not in (None, "custom") else None) or ""
    return node.request_model or ("agent" if node.kind == "agent" else "")


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
