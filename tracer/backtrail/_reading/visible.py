"""Recorded text that is safe and in line at a terminal.

answers → **visible** → render, tree

A recorded name must not steer the reader's terminal: escape sequences and changes of writing direction are replaced by
a character that is seen.
"""

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment

_UNSEEN = dict.fromkeys(
    (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "�"
)


class Visible:
    """What it holds, with every character that would not be seen replaced by one that is."""

    def __init__(self, *parts: RenderableType) -> None:
        self._group = Group(*parts)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._group, options):
            yield segment if segment.control else Segment(segment.text.translate(_UNSEEN), segment.style)


def one_line(name: str) -> str:
    """As wide as it is counted: what `Visible` would replace has no width until then."""
    return " ".join(name.split()).translate(_UNSEEN)
