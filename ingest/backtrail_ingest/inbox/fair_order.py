"""The order of writing: a request stands behind its own project's, and beside everybody else's.

    inbox ── **fair_order** ──▶ inbox_file, backlog

Start-time fair queueing. Each project has a lane. An entry starts where the one before it in its lane ends, and no
earlier than the writer has come; its id is this start. So "the lowest id first" is fair by itself: a project alone is
written in the order received, and the request of a quiet one goes before the gigabytes that a noisy one left waiting.
"""

from collections.abc import Iterable

STEP_BYTES = 4096
LANE_BITS = 20  # a million projects, and 2^43 steps of 4 KiB in each lane


class FairOrder:
    def __init__(self, *, reached: int, last_ids: Iterable[tuple[str, int]]) -> None:
        """`reached` is the last id that was handed out, `last_ids` the last one that waits for each project."""
        self._reached = reached >> LANE_BITS
        self._lanes: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        for project, id_ in last_ids:
            self._lanes[project] = id_ & ((1 << LANE_BITS) - 1)
            self._ends[project] = (id_ >> LANE_BITS) + 1
        self._next_lane = max(self._lanes.values(), default=-1) + 1

    def place(self, project: str, size: int) -> int:
        """The id of an entry that comes in now: never given before, higher than all that were handed out."""
        if project not in self._lanes:
            self._lanes[project] = self._next_lane
            self._next_lane += 1
        start = max(self._ends.get(project, 0), self._reached + 1)
        self._ends[project] = start + 1 + size // STEP_BYTES
        return start << LANE_BITS | self._lanes[project]

    def reach(self, id_: int) -> None:
        """The writer has come as far as this entry."""
        self._reached = max(self._reached, id_ >> LANE_BITS)
