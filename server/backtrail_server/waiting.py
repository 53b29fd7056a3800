"""Until what waits in the inbox is in the store.

erasing, removal, routes → **waiting** → inbox
"""

import time
from collections.abc import Callable

from backtrail_ingest import Inbox
from backtrail_store import StoreUnavailable

WAIT_SECONDS = 60
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
SETTLE_PAUSE = 0.005


def wait_while(is_waiting: Callable[[], bool], *, in_vain: str) -> None:
    """Raises StoreUnavailable with the sentence `in_vain` when a minute has passed."""
    deadline, pause = time.monotonic() + WAIT_SECONDS, FIRST_PAUSE
    while is_waiting():
        if time.monotonic() > deadline:
            raise StoreUnavailable(in_vain)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def settle(inbox: Inbox, project: str, seconds: float) -> None:
    """What was acknowledged to the project before this is readable after it, where so long suffices."""
    until, deadline = time.time_ns(), time.monotonic() + seconds
    while is_waiting(inbox, until, project) and time.monotonic() < deadline:
        time.sleep(SETTLE_PAUSE)


def is_waiting(inbox: Inbox, received_unix_nano: int, project: str | None = None) -> bool:
    """Whether anything (of this project) that came in by then is not in the store yet."""
    return inbox.ask(lambda file: file.holds_received_until(received_unix_nano, project))
