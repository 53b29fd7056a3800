"""Milliseconds since 1970 as the times that answers hold.

projects, keys → **moments**
"""

from datetime import UTC, datetime


def moment(unix_milli: int | None) -> datetime | None:
    return None if unix_milli is None else datetime.fromtimestamp(unix_milli / 1000, UTC)


def unix_milli(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
