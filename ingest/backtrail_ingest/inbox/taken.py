"""The last requests that were taken, so that one whose acknowledgement got lost is not kept a second time.

    inbox_keeper → **taken** → admission

Whoever sends a request again is told that it is safe. So as soon as one that was taken is not, all are forgotten: to
keep one twice costs a little work, the store reads it once.
"""

from collections import OrderedDict
from threading import Lock

from backtrail_ingest.envelope import Envelope

REMEMBERED_REQUESTS = 8192


class TakenRequests:
    """Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._keys: OrderedDict[tuple[str, str, bytes], None] = OrderedDict()

    def __contains__(self, envelope: Envelope) -> bool:
        key = key_of(envelope)
        with self._lock:
            if key not in self._keys:
                return False
            self._keys.move_to_end(key)
            return True

    def add(self, envelope: Envelope) -> None:
        with self._lock:
            self._keys[key_of(envelope)] = None
            if len(self._keys) > REMEMBERED_REQUESTS:
                self._keys.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._keys.clear()


def key_of(envelope: Envelope) -> tuple[str, str, bytes]:
    return envelope.project, envelope.signal.name, envelope.digest
