"""How the program's threads wake the exporting one, from wherever they are.

Processor.on_end → **Bell** → ExportThread
"""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue


class Bell:
    """An event that may be set while it is being set.

    A signal handler may do that, and the garbage collector where it ends a span; with the lock of a `threading.Event`
    they would wait for their own thread.
    """

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        if self._rings.empty():
            self._rings.put(None)

    def wait(self, seconds: float | None) -> None:
        """Until it rings, or has rung since it was waited for."""
        with suppress(Empty):
            self._rings.get(timeout=seconds)
            while True:
                self._rings.get_nowait()
