"""While the server runs, names of models that spans bring are looked up: in genai-prices, and in what users said.

app → beside → **pricing** → store.prices → model_prices
"""

import logging
import time
from contextlib import AbstractAsyncContextManager

from backtrail_server.beside import repeated
from backtrail_store import Store, StoreError

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 3
SECOND = 1_000_000_000
OVERLAP = 5 * SECOND  # received before the last look, readable after it


def learning_prices(store: Store) -> AbstractAsyncContextManager[None]:
    return repeated(Lookup(store).look, pause=PAUSE_SECONDS)


class Lookup:
    """Each look begins where the last one that went well has ended, the first one at the beginning. Where only this
    process inserts, there is nothing to look for until it has."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since = 0
        self._looked_at = -1

    def look(self) -> None:
        now, inserts = time.time_ns(), self._store.insert_count
        if inserts == self._looked_at and not self._store.is_shared:
            return
        try:
            self._store.prices.learn(since_unix_nano=self._since)
            self._since, self._looked_at = now - OVERLAP, inserts
        except StoreError as error:
            logger.warning("prices could not be looked up: %s", error)
