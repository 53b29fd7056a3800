"""Questions to the store, answered as rows.

    spans, contents → queries/*.sql → **reader** → routes

Synchronous and safe to share between threads; FastAPI calls it from its thread pool.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from importlib import resources
from typing import Any

from clickhouse_connect.driver.query import QueryResult

from backtrail_store.attributes import join_payload, read_values
from backtrail_store.client import ClientPool
from backtrail_store.model_calls import Candidate, counted_calls
from backtrail_store.rows import AttributeValue, EventRow, LinkRow, RunFilter, RunRow, RunStatus, SpanRow
from backtrail_store.trace_json import span_objects

QUERIES = {
    file.name.removesuffix(".sql"): file.read_text()
    for file in (resources.files("backtrail_store") / "queries").iterdir()
    if file.name.endswith(".sql")
}
READ_SETTINGS: dict[str, object] = {
    # A row's partition follows its immutable start time, so versions of one row never lie in two.
    "do_not_merge_across_partitions_select_final": 1,
    # Safe because trace_id, the column of the only skip index, is part of the sorting key.
    "use_skip_indexes_if_final_exact_mode": 0,
    "max_threads": 2,
}
SILENCE_NS = 60 * 10**9
_FAR_FUTURE = 5_617_000_000_000_000_001
_DAY_NS = 86_400 * 10**9

Row = Mapping[str, Any]
RunPlace = tuple[str, int]  # a run's id and its start in nanoseconds, its place among the newest

# get_trace.sql selects SpanRow's fields in their order and, after them, attribute_types, resource_types, payloads and
# flagged, from which attributes and resource are read.
_START_TIME = list(SpanRow.__dataclass_fields__).index("start_time_unix_nano")
_FIRST_VALUES = list(SpanRow.__dataclass_fields__).index("attributes")
_PAYLOADS = -2


class TraceReader:
    """Reads one store. Every question names its project; nothing crosses it."""

    def __init__(self, clients: ClientPool) -> None:
        self._clients = clients

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
        rows = self._ask("get_trace", project=project, trace_id=trace_id, outline=False).result_rows
        contents = self._contents(project, trace_id, _times(rows)) if payloads else None
        return [_span(row, contents) for row in rows]

    def get_outline(self, project: str, trace_id: str) -> list[SpanRow]:
        """A trace's spans with what a tree needs: events, links and resources are left out, and so are the attributes
        and payloads of all spans but runs and agents; see get_trace.sql."""
        rows = self._ask("get_trace", project=project, trace_id=trace_id, outline=True).result_rows
        hashes = {piece for row in rows for payload in row[_PAYLOADS].values() for piece in payload["hashes"]}
        contents = self._contents(project, trace_id, _times(rows), sorted(hashes)) if hashes else {}
        return [_span(row, contents) for row in rows]

    def get_trace_json(self, project: str, trace_id: str) -> list[str]:
        """A trace's spans as JSON objects, payloads included, in get_trace's order; see trace_json.sql."""
        rows = self._query("trace_json", project=project, trace_id=trace_id)
        times = [row["start_time_unix_nano"] for row in rows]
        return list(span_objects(rows, self._contents(project, trace_id, times)))

    def _contents(
        self, project: str, trace_id: str, times: Sequence[int], hashes: Sequence[int] = ()
    ) -> dict[int, str]:
        """The trace's payload texts by hash, all or some; `times` are its spans' start times in order."""
        if not times:
            return {}
        bounds = {"trace_id": trace_id, "start": times[0], "end": times[-1], "hashes": list(hashes)}
        return {row["hash"]: row["content"] for row in self._query("get_contents", project=project, **bounds)}

    def _found(self, project: str, where: RunFilter) -> list[RunPlace]:
        """The newest matching runs, each once: rows are asked for until enough of them are of different runs."""
        rows_wanted = 3 * where.limit
        while True:
            rows = self._places("find_runs", project, where, limit=rows_wanted, status=where.status or "")
            places = list(dict.fromkeys(rows))
            if len(places) >= where.limit or len(rows) < rows_wanted:
                return places[: where.limit]
            rows_wanted *= 4

    def _open(self, project: str, where: RunFilter) -> list[RunPlace]:
        return self._places("find_open_runs", project, where, limit=where.limit)

    def _places(self, query: str, project: str, where: RunFilter, **parameters: Any) -> list[RunPlace]:
        before_time, before_id = where.before or (_FAR_FUTURE, "")
        result = self._ask(
            query,
            project=project,
            start=_nanos(where.start, 0),
            end=_nanos(where.end, _FAR_FUTURE),
            before_time=before_time,
            before_id=before_id,
            name=where.name or "",
            service=where.service or "",
            conversation_id=where.conversation_id or "",
            user_id=where.user_id or "",
            **parameters,
        )
        return [(run_id, start) for run_id, start in result.result_rows]

    def _runs(self, project: str, places: Sequence[RunPlace]) -> list[RunRow]:
        """The runs at these places, newest first; one that has a later root has its place there."""
        if not places:
            return []
        run_ids = [run_id for run_id, _ in places]
        earliest = min(start for _, start in places)
        roots = self._query("get_roots", project=project, run_ids=run_ids, start=earliest)
        totals = self._query("run_totals", project=project, run_ids=run_ids, start=max(earliest - _DAY_NS, 0))
        by_run = {row["trace_id"]: row for row in totals}
        wanted = dict(places)
        return [
            _run(root, by_run[root["trace_id"]])
            for root in roots
            if wanted[root["trace_id"]] in (0, root["start_time_unix_nano"])
        ]

    def _query(self, query: str, /, **parameters: Any) -> list[Row]:
        return list(self._ask(query, **parameters).named_results())

    def _ask(self, query: str, /, **parameters: Any) -> QueryResult:
        with self._clients.borrow() as client:
            return client.query(QUERIES[query], parameters=parameters, settings=READ_SETTINGS)


def _times(rows: Sequence[Sequence[Any]]) -> list[int]:
    return [row[_START_TIME] for row in rows]


def _nanos(moment: datetime | None, default: int) -> int:
    return default if moment is None else int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def _run(root: Row, totals: Row) -> RunRow:
    return RunRow(
        run_id=root["trace_id"],
        root_span_id=root["span_id"],
        name=root["name"],
        status=_run_status(root, totals),
        start_time_unix_nano=root["start_time_unix_nano"],
        duration_ns=root["duration_ns"],
        service_name=root["service_name"],
        query=root["query"],
        conversation_id=root["conversation_id"],
        user_id=root["user_id"],
        environment=root["environment"],
        replay_of=root["replay_of"],
        replay_mode=root["replay_mode"],
        error_type=root["error_type"],
        error_message=root["status_message"],
        **{name: totals[name] for name in _COUNTS},
        **_usage(totals),
    )


_COUNTS = ("span_count", "agent_count", "step_count", "error_count", "replayed_count")


def _usage(totals: Row) -> dict[str, Any]:
    """The tokens and cost of the model calls that count; None where none of them said."""
    candidates = [Candidate(span_id, is_call, has_usage) for span_id, is_call, has_usage, *_ in totals["calls"]]
    parents = dict(zip(totals["span_ids"], totals["parent_ids"], strict=True))
    counted = counted_calls(candidates, parents)
    calls = [call for call in totals["calls"] if call[0] in counted]
    inputs, outputs, costs = ([call[part] for call in calls if call[part] is not None] for part in (3, 4, 5))
    return {
        "llm_calls": len(calls),
        "input_tokens": sum(inputs) if inputs else None,
        "output_tokens": sum(outputs) if outputs else None,
        "cost_usd": sum(costs) if costs else None,
        "unpriced_calls": len(calls) - len(costs),
    }


def _run_status(root: Row, totals: Row) -> RunStatus:
    if root["is_pending"]:
        silent = time.time_ns() - totals["last_received_unix_nano"]
        return "incomplete" if silent > SILENCE_NS else "running"
    if root["status"] in ("completed", "failed", "cancelled"):
        status: RunStatus = root["status"]
        return status
    return "failed" if root["status_code"] == "error" else "completed"


def _span(row: Sequence[Any], contents: Mapping[int, str] | None) -> SpanRow:
    """One row of get_trace.sql: SpanRow's columns in their order, then what their values are made of."""
    light, resource, events, links, types, resource_types, payloads, flagged = row[_FIRST_VALUES:]
    texts = dict(light)
    if contents is not None:
        for key, payload in payloads.items():
            text = join_payload(payload["form"], payload["hashes"], contents)
            if text is not None:
                texts[key] = text
    columns = [
        *row[:_FIRST_VALUES],
        _values(texts, types, flagged),
        read_values(resource, resource_types),
        [_event(event) for event in events],
        [_link(link) for link in links],
    ]
    return SpanRow(*columns)


def _event(event: Row) -> EventRow:
    attributes = read_values(event["attributes"], event["attribute_types"])
    return EventRow(time_unix_nano=event["time_unix_nano"], name=event["name"], attributes=attributes)


def _link(link: Row) -> LinkRow:
    return LinkRow(
        trace_id=link["trace_id"],
        span_id=link["span_id"],
        trace_state=link["trace_state"],
        attributes=read_values(link["attributes"], link["attribute_types"]),
    )


def _values(texts: Mapping[str, str], types: Mapping[str, str], flagged: str) -> dict[str, AttributeValue]:
    values = read_values(texts, types)
    if flagged:
        values["backtrail.flagged"] = flagged
    return values
