"""While the server runs, models that spans name and no price covers are looked up in genai-prices.

app → **pricing** → store.learn_prices → model_prices
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from backtrail_store import Store, StoreError

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 15
SECOND = 1_000_000_000
FIRST_LOOK_BACK = 3600 * SECOND
OVERLAP = 5 * SECOND  # received before the last look, readable after it


@asynccontextmanager
async def learning_prices(store: Store) -> AsyncIterator[None]:
    ending = asyncio.Event()
    task = asyncio.create_task(_learn(store, ending))
    try:
        yield
    finally:
        ending.set()
        await task


async def _learn(store: Store, ending: asyncio.Event) -> None:
    since = time.time_ns() - FIRST_LOOK_BACK
    while not ending.is_set():
        now = time.time_ns()
        try:
            await asyncio.to_thread(store.learn_prices, since_unix_nano=since)
            since = now - OVERLAP
        except StoreError as error:
            logger.warning("prices could not be looked up: %s", error)
        try:
            await asyncio.wait_for(ending.wait(), PAUSE_SECONDS)
        except TimeoutError:
            continue
