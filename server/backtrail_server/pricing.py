"""While the server runs, models that spans name and no price covers are looked up in genai-prices.

app → beside → **pricing** → store.learn_prices → model_prices
"""

import logging
import time
from contextlib import AbstractAsyncContextManager

from backtrail_server.beside import repeated
from backtrail_store import Store, StoreError

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 15
SECOND = 1_000_000_000
FIRST_LOOK_BACK = 3600 * SECOND
OVERLAP = 5 * SECOND  # received before the last look, readable after it


def learning_prices(store: Store) -> AbstractAsyncContextManager[None]:
    return repeated(Lookup(store).look, pause=PAUSE_SECONDS)


class Lookup:
    """Each look begins where the last one that went well has ended."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since = time.time_ns() - FIRST_LOOK_BACK

    def look(self) -> None:
        now = time.time_ns()
        try:
            self._store.learn_prices(since_unix_nano=self._since)
            self._since = now - OVERLAP
        except StoreError as error:
            logger.warning("prices could not be looked up: %s", error)
