"""Told to end, the process ends within ten seconds, whatever it waits for.

    signal → process → **deadline**

What was acknowledged is synced in the inbox, and a batch that was on its way is written again under its token: leaving
a store behind that does not answer loses nothing.
"""

import logging
import os
import sys
import threading

logger = logging.getLogger(__name__)

ENDING_SECONDS = 9.5


class Deadline:
    """Runs from `start` on, to the very end: the interpreter itself waits without a limit for threads that hang."""

    def __init__(self) -> None:
        self._timer = threading.Timer(ENDING_SECONDS, end_now)
        self._timer.daemon = True  # it keeps nobody waiting that ends sooner
        self._is_started = False

    def start(self) -> None:
        if not self._is_started:
            self._is_started = True
            self._timer.start()


def end_now() -> None:
    waited_for = sorted(thread.name for thread in threading.enumerate() if thread is not threading.main_thread())
    logger.warning(
        "ended without waiting longer (%s): what was acknowledged is in the inbox, and is written at the next start",
        ", ".join(waited_for),
    )
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
