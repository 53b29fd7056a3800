"""Questions to the store, answered as rows.

    spans, contents → queries/*.sql → **reader** → routes

Synchronous and safe to share between threads; FastAPI calls it from its thread pool.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from clickhouse_connect.driver.query import QueryResult

from backtrail_store.call_spans import KINDS_WITHOUT_CALL, MODEL_STEP_KINDS
from backtrail_store.client import ClientPool
from backtrail_store.contents import Wanted, read_settled
from backtrail_store.questions import ask
from backtrail_store.rows import RunFilter, RunRow, RunStatus, SpanRow, StepRow
from backtrail_store.run_rows import SILENCE_SECONDS, Row, open_status, run_row
from backtrail_store.span_rows import PAYLOADS, RECEIVED, START_TIME, span_row
from backtrail_store.trace_json import TraceJson, span_objects

FAR_FUTURE = 5_617_000_000_000_000_001
_DAY_NS = 86_400 * 10**9
_MOST_ROWS = 20_000

RunPlace = tuple[str, int]  # a run's id and its start in nanoseconds, its place among the newest


class TraceReader:
    """Reads one store. Every question names its project; nothing crosses it."""

    def __init__(self, clients: ClientPool, *, silence_seconds: int = SILENCE_SECONDS) -> None:
        self._clients = clients
        self._silence_seconds = silence_seconds

    def open_status(self, last_received_unix_nano: int) -> RunStatus:
        """Whether a run without an end still runs, by when the last of its spans was received."""
        return open_status(last_received_unix_nano, self._silence_seconds)

    def find_runs(self, project: str, where: RunFilter) -> list[RunRow]:
        """Runs newest first. Raises StoreUnavailable."""
        if where.status not in ("running", "incomplete"):
            return self._runs(project, self._found(project, where))
        # Whether a run without an end still runs is known only from its newest span: ask page by page.
        found: list[RunRow] = []
        before = where.before
        while len(found) < where.limit:
            page = self._open(project, replace(where, before=before))
            found += [run for run in self._runs(project, page) if run.status == where.status]
            if len(page) < where.limit:
                break
            before = (page[-1][1], page[-1][0])
        return found[: where.limit]

    def get_run(self, project: str, run_id: str) -> RunRow | None:
        """One run by its id, which is its trace's; None if the store has no root span of it."""
        runs = self._runs(project, [(run_id, 0)])
        return runs[0] if runs else None

    def get_trace(self, project: str, trace_id: str, *, payloads: bool = True) -> list[SpanRow]:
        """A trace's spans by start time and span id, empty if unknown; payload texts on request."""
        rows = self._trace(project, trace_id)
        contents = self._contents(project, trace_id, _wanted(rows)) if payloads else None
        return [span_row(row, contents) for row in rows]

    def get_spans(self, project: str, trace_id: str, span_ids: Sequence[str]) -> list[SpanRow]:
        """Those of a trace's spans, with their payload texts; what is not there is left out. Made for some dozens."""
        rows = self._trace(project, trace_id, span_ids=span_ids) if span_ids else []
        contents = self._contents(project, trace_id, _wanted(rows), all_of_trace=False)
        return [span_row(row, contents) for row in rows]

    def get_steps(self, project: str, trace_id: str) -> list[StepRow]:
        """A trace's spans by start time and span id, as far as it takes to know who called whom."""
        rows = self._ask("get_steps", project=project, trace_id=trace_id).result_rows
        return [StepRow(*row) for row in rows]

    def get_outline(self, project: str, trace_id: str) -> list[SpanRow]:
        """A trace's spans with what a tree needs: events, links and resources are left out, and so are the attributes
        and payloads of all spans but runs and agents; see get_trace.sql."""
        rows = self._trace(project, trace_id, outline=True)
        contents = self._contents(project, trace_id, _wanted(rows), all_of_trace=False)
        return [span_row(row, contents) for row in rows]

    def get_trace_json(
        self, project: str, trace_id: str, logs: Mapping[str, str] | None = None, *, span_ids: Sequence[str] = ()
    ) -> TraceJson:
        """A trace's spans, or those of some ids, as JSON objects with their payloads, in get_trace's order; see
        trace_json.sql."""
        rows = self._query("trace_json", project=project, trace_id=trace_id, span_ids=list(span_ids))
        wanted = Wanted(
            times=[row["start_time_unix_nano"] for row in rows],
            received=max((row["received_unix_nano"] for row in rows), default=0),
            hashes={piece for row in rows for hashes in row["payload_hashes"] for piece in hashes},
        )
        contents = self._contents(project, trace_id, wanted, all_of_trace=not span_ids)
        return TraceJson(list(span_objects(rows, contents, logs or {})), {row["span_id"] for row in rows})

    def _trace(
        self, project: str, trace_id: str, *, span_ids: Sequence[str] = (), outline: bool = False
    ) -> Sequence[Sequence[Any]]:
        """Rows of get_trace.sql."""
        wanted = {"span_ids": list(span_ids), "outline": outline}
        return self._ask("get_trace", project=project, trace_id=trace_id, **wanted).result_rows

    def _contents(self, project: str, trace_id: str, wanted: Wanted, *, all_of_trace: bool = True) -> dict[int, str]:
        """The payload texts of these spans by hash; all texts of the trace are read faster than many by their hash."""

        def read(hashes: Iterable[int]) -> dict[int, str]:
            bounds = {"start": wanted.times[0], "end": wanted.times[-1], "hashes": sorted(hashes)}
            rows = self._query("get_contents", project=project, trace_id=trace_id, **bounds)
            return {row["hash"]: row["content"] for row in rows}

        return read_settled(wanted, read, all_at_first=all_of_trace) if wanted.hashes else {}

    def _found(self, project: str, where: RunFilter) -> list[RunPlace]:
        """The newest matching runs, each once: rows are asked for until enough of them are of different runs.

        A trace of mere web requests is a row in vain, and there may be millions between two runs: each further page is
        larger, up to what is quickly read.
        """
        newest: dict[str, int] = {}
        rows_wanted = 3 * where.limit
        while True:
            rows = self._places(
                "find_runs", project, where, limit=rows_wanted, status=where.status or "", kind=where.kind
            )
            agent_traces = self._agent_traces(project, rows) if where.kind == "agent" else None
            for run_id, start, is_run in rows:
                if is_run or agent_traces is None or run_id in agent_traces:
                    newest.setdefault(run_id, start)
            if len(newest) >= where.limit or len(rows) < rows_wanted:
                return list(newest.items())[: where.limit]
            last_id, last_start, _ = rows[-1]
            where = replace(where, before=(last_start, last_id))
            rows_wanted = min(4 * rows_wanted, _MOST_ROWS)

    def _agent_traces(self, project: str, rows: Sequence[Sequence[Any]]) -> set[str]:
        """Which of these traces are an agent's without being a Backtrail run; nothing is asked where all are runs."""
        others = [start for _, start, is_run in rows if not is_run]
        if not others:
            return set()
        bounds = {"start": min(others), "end": max(others) + _DAY_NS}
        return {row[0] for row in self._ask("find_agent_traces", project=project, **bounds).result_rows}

    def _open(self, project: str, where: RunFilter) -> list[RunPlace]:
        return [(run_id, start) for run_id, start in self._places("find_open_runs", project, where, limit=where.limit)]

    def _places(self, query: str, project: str, where: RunFilter, **parameters: Any) -> Sequence[Sequence[Any]]:
        before_time, before_id = where.before or (FAR_FUTURE, "")
        result = self._ask(
            query,
            project=project,
            start=nanos(where.start, 0),
            end=nanos(where.end, FAR_FUTURE),
            before_time=before_time,
            before_id=before_id,
            name=where.name or "",
            service=where.service or "",
            conversation_id=where.conversation_id or "",
            user_id=where.user_id or "",
            **parameters,
        )
        return result.result_rows

    def _runs(self, project: str, places: Sequence[RunPlace]) -> list[RunRow]:
        """The runs at these places, newest first; one that has a later root has its place there."""
        if not places:
            return []
        run_ids = [run_id for run_id, _ in places]
        earliest = min(start for _, start in places)
        roots = self._query("get_roots", project=project, run_ids=run_ids, start=earliest)
        totals = self._query(
            "run_totals",
            project=project,
            run_ids=run_ids,
            start=max(earliest - _DAY_NS, 0),
            model_step_kinds=list(MODEL_STEP_KINDS),
            kinds_without_call=list(KINDS_WITHOUT_CALL),
        )
        by_run = {row["trace_id"]: row for row in totals}
        wanted = dict(places)
        return [
            run_row(root, by_run[root["trace_id"]], silence_seconds=self._silence_seconds)
            for root in roots
            if wanted[root["trace_id"]] in (0, root["start_time_unix_nano"])
        ]

    def _query(self, query: str, /, **parameters: Any) -> list[Row]:
        return list(self._ask(query, **parameters).named_results())

    def _ask(self, query: str, /, **parameters: Any) -> QueryResult:
        return ask(self._clients, query, **parameters)


def _wanted(rows: Sequence[Sequence[Any]]) -> Wanted:
    """The contents of rows of get_trace.sql."""
    return Wanted(
        times=[row[START_TIME] for row in rows],
        received=max((row[RECEIVED] for row in rows), default=0),
        hashes={piece for row in rows for payload in row[PAYLOADS].values() for piece in payload["hashes"]},
    )


def nanos(moment: datetime | None, default: int) -> int:
    return default if moment is None else int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
