"""GET /api/v1/runs and /api/v1/runs/{run_id}: the list, and one run as a tree."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from backtrail_query.errors import RunNotFound
from backtrail_query.log_views import MOST_LOGS_OF_A_TRACE, first_of_trace
from backtrail_query.models import Problem, RunPage, RunView
from backtrail_query.nodes import run_with_tree
from backtrail_query.params import Cursor, End, Limit, Logs, Project, Reader, RunId, Start, write_cursor
from backtrail_query.tree import Tree, build_tree, end_status
from backtrail_query.views import json_response, run_view
from backtrail_store.reader import TraceReader
from backtrail_store.rows import RunFilter, RunStatus, TraceKind

router = APIRouter(prefix="/api/v1/runs", tags=["runs"], responses={400: {"model": Problem}, 422: {"model": Problem}})

KIND = (
    "run: Backtrail's own runs; agent: traces of others too in which an agent or a model was at work; "
    "any: every trace, web requests among them"
)


@router.get("", response_model=RunPage)
def list_runs(
    project: Project,
    reader: Reader,
    start: Start,
    end: End,
    cursor: Cursor,
    kind: Annotated[TraceKind, Query(description=KIND)] = "agent",
    status: RunStatus | None = None,
    name: str | None = None,
    service: Annotated[str | None, Query(description="resource attribute service.name")] = None,
    conversation_id: str | None = None,
    user_id: str | None = None,
    limit: Limit = 50,
) -> Response:
    """Runs, newest first."""
    filter_ = RunFilter(
        start=start,
        end=end,
        kind=kind,
        status=status,
        name=name,
        service=service,
        conversation_id=conversation_id,
        user_id=user_id,
        before=cursor,
        limit=limit + 1,
    )
    found = reader.find_runs(project, filter_)
    page, last = found[:limit], found[limit - 1 : limit]
    next_cursor = write_cursor(last[0].start_time_unix_nano, last[0].run_id) if len(found) > limit else None
    return json_response({"runs": [run_view(run) for run in page], "next_cursor": next_cursor})


@router.get("/{run_id}", response_model=RunView, responses={404: {"model": Problem}})
def get_run(run_id: RunId, project: Project, reader: Reader, logs: Logs) -> Response:
    """One run: summary, input and outcome, agents, and everything that happened as a tree."""
    spans = reader.get_outline(project, run_id)
    if not spans:
        raise RunNotFound(run_id)
    tree = build_tree(spans)
    found = logs.get_trace_logs(project, run_id, limit=MOST_LOGS_OF_A_TRACE + 1, payloads=False)
    records, has_more = first_of_trace(found)
    return json_response(run_with_tree(tree, _status(tree, reader), records) | {"has_more_logs": has_more})


def _status(tree: Tree, reader: TraceReader) -> RunStatus:
    return end_status(tree.root.span) if tree.has_ended else reader.open_status(tree.last_received_unix_nano)
