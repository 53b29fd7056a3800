"""Attributes that number their entries, `gen_ai.prompt.0.content`, as lists of what they say.

    carrier → **families** → recognition

Never as long as the largest number: a single `gen_ai.prompt.999999999.role` is one entry. Entries are sorted and the
gaps between them closed; of more than ten thousand the first are kept, and the others counted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_ENTRIES = 10_000
_ENTRY = re.compile(r"(?P<index>[0-9]{1,18})(?:\.(?P<path>.+))?", re.DOTALL)
_LEVELS = 12


@dataclass(frozen=True, slots=True)
class Family:
    """`entries` by their place; `dropped` how many there were in excess."""

    entries: list[Any]
    dropped: int = 0


def read_family(attributes: Mapping[str, Any], prefix: str) -> Family:
    found: dict[int, list[tuple[str, Any]]] = {}
    start = f"{prefix}."
    for key, value in attributes.items():
        if key.startswith(start) and (entry := _ENTRY.fullmatch(key, len(start))):
            found.setdefault(int(entry["index"]), []).append((entry["path"] or "", value))
    kept = sorted(found)[:MOST_ENTRIES]
    return Family([_entry(found[index]) for index in kept], len(found) - len(kept))


def _entry(said: list[tuple[str, Any]]) -> Any:
    if len(said) == 1 and not said[0][0]:
        return said[0][1]
    tree: dict[str, Any] = {}
    for path, value in said:
        _plant(tree, path.split(".", _LEVELS), value)
    return _lists(tree)


def _plant(tree: dict[str, Any], path: list[str], value: Any) -> None:
    """A name that has both a value and others below it keeps those."""
    for step in path[:-1]:
        below = tree.get(step)
        if not isinstance(below, _Branch):
            below = tree[step] = _Branch()
        tree = below
    if not isinstance(tree.get(path[-1]), _Branch):
        tree[path[-1]] = value


class _Branch(dict[str, Any]):
    """Made of names, unlike a value that is a map."""


def _lists(tree: dict[str, Any]) -> Any:
    """Below a name, numbers are a list again."""
    said = {key: _lists(value) if isinstance(value, _Branch) else value for key, value in tree.items()}
    if said and all(key.isascii() and key.isdigit() and len(key) < 19 for key in said):
        return [said[key] for key in sorted(said, key=int)]
    return said
