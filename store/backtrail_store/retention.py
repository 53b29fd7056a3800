"""What is too old goes: a project's weeks, as whole partitions.

    settings, projects → **retention** → partitions → disk

Age is counted from when a row was received. A sender's clock may say 1970 or 2148, and an old run may be imported
today: both are kept as long as others, and no longer. A week goes when its last row is old enough, so that nothing goes
too early. Where new rows keep coming in for an old week, those that are old enough are deleted one by one.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import groupby

from backtrail_store.client import ClientPool
from backtrail_store.errors import StoreError
from backtrail_store.partitions import (
    Partition,
    delete_received_before,
    drop_received_before,
    first_received,
    list_partitions,
)

logger = logging.getLogger(__name__)

WEEK = timedelta(days=7)
FOR_EVER = 0


@dataclass(frozen=True, slots=True)
class Keeping:
    """How many days a project's spans and log records, and their payload texts, are kept; texts never longer."""

    spans_days: int = FOR_EVER
    contents_days: int = FOR_EVER

    def days(self, table: str) -> int:
        if table != "contents" or not self.contents_days:
            return self.spans_days
        return min(self.contents_days, self.spans_days or self.contents_days)


def drop_expired(writers: ClientPool, keeping: Callable[[str], Keeping], now: datetime) -> list[Partition]:
    """Drops what each project no longer keeps and returns it. What fails is logged, and the rest still tried."""
    return [partition for partition in list_partitions(writers) if _drop_if_expired(writers, partition, keeping, now)]


def _drop_if_expired(
    writers: ClientPool, partition: Partition, keeping: Callable[[str], Keeping], now: datetime
) -> bool:
    days = keeping(partition.project).days(partition.table)
    if days == FOR_EVER:
        return False
    cutoff = now - timedelta(days=days)
    if _holds_only_recent(partition, cutoff, now):
        return False
    try:
        if drop_received_before(writers, partition, cutoff):
            return True
        if first_received(writers, partition) < cutoff - WEEK:
            delete_received_before(writers, partition, cutoff)
    except StoreError as error:
        logger.warning("the week %s of %s could not be dropped: %s", partition.week, partition.project, error)
    return False


def _holds_only_recent(partition: Partition, cutoff: datetime, now: datetime) -> bool:
    """Told by its name alone: nothing is received before it began, unless the sender's clock is fast."""
    begins = datetime.combine(partition.week, time(), UTC)
    return cutoff < begins + WEEK and begins <= now


def drop_oldest_week(writers: ClientPool, now: datetime) -> list[Partition]:
    """Drops the oldest week of all projects and returns it. What came in since Monday stays, so that may be nothing."""
    monday = datetime.combine(now.date() - timedelta(days=now.weekday()), time(), UTC)
    for _, week in groupby(list_partitions(writers), key=lambda partition: partition.week):
        if dropped := [partition for partition in week if drop_received_before(writers, partition, monday)]:
            return dropped
    return []
