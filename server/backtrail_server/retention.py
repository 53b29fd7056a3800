"""While the server runs, what projects no longer keep is dropped, and sooner where the disk is short.

settings, projects → app → beside → **retention** → store.drop_expired, store.drop_oldest_week
"""

import logging
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from backtrail_server.beside import repeated
from backtrail_server.reserve import keep_reserve, reserve_released
from backtrail_store import Keeping, Partition, Project, Store, StoreError

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 15
EXPIRY_SECONDS = 3600


@dataclass(slots=True, kw_only=True)
class Retention:
    """`default` counts for projects that say nothing themselves. Below twice `disk_reserve` the disk is short: below
    once, new spans are refused."""

    store: Store
    folder: Path
    default: Keeping
    disk_reserve: int
    drops_oldest: bool
    _next_expiry: float = field(default=0.0, init=False)

    def look(self) -> None:
        """Drops what is due at this moment. Raises StoreError."""
        is_short = not self.store.is_shared and self._free() < 2 * self.disk_reserve
        if is_short:
            with reserve_released(self.folder):
                self._drop_expired()
                if self.drops_oldest and self._free() < 2 * self.disk_reserve:
                    tell(self.store.drop_oldest_week(datetime.now(UTC)), "the disk is short", logging.WARNING)
        elif time.monotonic() >= self._next_expiry:
            self._drop_expired()
        keep_reserve(self.folder)

    def look_soon(self) -> None:
        """Something was set that changes what is due."""
        self._next_expiry = 0.0

    def _drop_expired(self) -> None:
        own = {project.name: self._keeping(project) for project in self.store.projects.list()}
        dropped = self.store.drop_expired(lambda project: own.get(project, self.default), datetime.now(UTC))
        tell(dropped, "it is no longer kept", logging.INFO)
        self._next_expiry = time.monotonic() + EXPIRY_SECONDS

    def _keeping(self, project: Project) -> Keeping:
        return Keeping(
            self.default.spans_days if project.spans_days is None else project.spans_days,
            self.default.contents_days if project.contents_days is None else project.contents_days,
        )

    def _free(self) -> int:
        return shutil.disk_usage(self.folder).free


def tell(dropped: Sequence[Partition], why: str, level: int) -> None:
    for one in dropped:
        logger.log(level, "dropped the week %s of project %s from %s: %s", one.week, one.project, one.table, why)


def keeping_to(retention: Retention) -> AbstractAsyncContextManager[None]:
    def look() -> None:
        try:
            retention.look()
        except (StoreError, OSError) as error:
            logger.warning("retention has to wait: %s", error)

    return repeated(look, pause=PAUSE_SECONDS)
