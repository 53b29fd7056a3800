"""Room divided between projects: whoever holds much is refused before whoever holds little.

    admission (bytes in flight), inbox (bytes on disk) → **shares**

A project may hold eight times what is free. Alone it fills eight ninths, two of them eight seventeenths each. What
stays free is for the others, whoever they are: nothing has to be known of them beforehand.
"""

from collections import Counter
from collections.abc import Mapping

GREED = 8


class Shares:
    """Safe to read from any thread; changed by one."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self.total = 0

    def of(self, project: str) -> int:
        return self._held[project]

    def add(self, project: str, size: int) -> None:
        self._held[project] += size
        self.total += size
        if not self._held[project]:
            del self._held[project]

    def add_all(self, sizes: Mapping[str, int]) -> None:
        for project, size in sizes.items():
            self.add(project, size)

    def remove_all(self, sizes: Mapping[str, int]) -> None:
        for project, size in sizes.items():
            self.add(project, -size)


def is_too_much(held: int, *, free: int) -> bool:
    """Would a project hold more than it may, `free` being what then would be left?"""
    return held > GREED * free
