"""How tests wait: until something is so, and no longer than it would take if it never were."""

import threading
import time
from collections.abc import Callable


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def within_ten_seconds(work: Callable[[], object]) -> bool:
    """Whether it was done by then; what waits for ever ends with the tests."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    return not thread.is_alive()
