"""Until what waits in the inbox is in the store.

erasing, removal → **waiting** → inbox
"""

import time
from collections.abc import Callable

from backtrail_store import StoreUnavailable

WAIT_SECONDS = 60
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0


def wait_while(is_waiting: Callable[[], bool], *, in_vain: str) -> None:
    """Raises StoreUnavailable with the sentence `in_vain` when a minute has passed."""
    deadline, pause = time.monotonic() + WAIT_SECONDS, FIRST_PAUSE
    while is_waiting():
        if time.monotonic() > deadline:
            raise StoreUnavailable(in_vain)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
