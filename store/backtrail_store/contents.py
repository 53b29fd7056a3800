"""The payload texts that spans name by their hashes, read when they have settled.

    spans → reader → **contents** → span_rows, trace_json

One insert fills `spans` and `contents`, but ClickHouse commits each table by itself and in either order: for some
milliseconds, under load for some hundred, a span may be readable before its texts. Whoever reads it then waits for
them. A text that is long gone, because contents aged out before their spans, is not waited for.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

_PAUSES = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
_SETTLED_SECONDS = 3_600  # a span may have waited in the inbox since it was received


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What some spans of a trace name: their start times in order, when the last was received, and their hashes."""

    times: Sequence[int]
    received: int
    hashes: set[int]


def read_settled(
    wanted: Wanted, read: Callable[[Iterable[int]], dict[int, str]], *, all_at_first: bool
) -> dict[int, str]:
    """The texts by hash. `read` answers those of some hashes, or all of the trace if none are named."""
    contents = read(()) if all_at_first else read(wanted.hashes)
    if time.time_ns() - wanted.received > _SETTLED_SECONDS * 10**9:
        return contents
    for pause in _PAUSES:
        missing = wanted.hashes - contents.keys()
        if not missing:
            break
        time.sleep(pause)
        contents |= read(missing)
    return contents
