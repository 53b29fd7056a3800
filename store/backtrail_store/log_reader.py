"""Questions about log records.

    logs, contents → queries/*.sql → **log_reader** → routes

Synchronous and safe to share between threads, like the reader of traces.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from backtrail_store.client import ClientPool
from backtrail_store.contents import Wanted, read_settled
from backtrail_store.log_rows import LogFilter, LogRow, log_row, pieces_of
from backtrail_store.questions import ask
from backtrail_store.reader import FAR_FUTURE, nanos

_HOUR = 3600
_LARGEST_HASH = (1 << 64) - 1

Row = dict[str, Any]


class LogReader:
    """Reads one store. Every question names its project; nothing crosses it."""

    def __init__(self, clients: ClientPool) -> None:
        self._clients = clients

    def get_trace_logs(self, project: str, trace_id: str, *, limit: int, payloads: bool = True) -> list[LogRow]:
        """A trace's first log records in order of time; payload texts on request."""
        if not self._query("has_logs", project=project, trace_id=trace_id):
            return []
        rows = self._query("get_log_records", project=project, trace_ids=[trace_id], hours=[], hashes=[], limit=limit)
        return self._with_contents(project, rows) if payloads else [log_row(row, {}) for row in rows]

    def find_logs(self, project: str, where: LogFilter) -> list[LogRow]:
        """Log records newest first, with their payload texts."""
        before_time, before_hash = where.before or (FAR_FUTURE, _LARGEST_HASH)
        places = self._query(
            "find_log_records",
            project=project,
            start=nanos(where.start, 0),
            end=nanos(where.end, FAR_FUTURE),
            before_time=before_time,
            before_hash=before_hash,
            trace_id=where.trace_id or "",
            span_id=where.span_id or "",
            service=where.service or "",
            event_name=where.event_name or "",
            severity=where.severity,
            text=where.text or "",
            limit=where.limit,
        )
        if not places:
            return []
        rows = self._query("get_log_records", project=project, limit=len(places), **_bounds(places))
        return self._with_contents(project, rows[::-1])

    def _with_contents(self, project: str, rows: Sequence[Row]) -> list[LogRow]:
        wanted = Wanted(
            times=[row["time_unix_nano"] for row in rows],
            received=max((row["received_unix_nano"] for row in rows), default=0),
            hashes={piece for row in rows for piece in pieces_of(row)},
        )

        def read(hashes: Iterable[int]) -> dict[int, str]:
            found = self._query("get_log_contents", project=project, **_bounds(rows) | {"hashes": sorted(hashes)})
            return {row["hash"]: row["content"] for row in found}

        contents = read_settled(wanted, read, all_at_first=False) if wanted.hashes else {}
        return [log_row(row, contents) for row in rows]

    def _query(self, query: str, /, **parameters: Any) -> list[Row]:
        return list(ask(self._clients, query, **parameters).named_results())


def _bounds(rows: Sequence[Row]) -> dict[str, Any]:
    """What the tables' sorting keys need to find these again."""
    return {
        "hours": sorted({row["time_unix_nano"] // 10**9 // _HOUR * _HOUR for row in rows}),
        "trace_ids": sorted({row["trace_id"] for row in rows}),
        "hashes": sorted({row["hash"] for row in rows}),
    }
