"""GET /api/v1/logs: log records, GenAI events among them, with or without a trace."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from backtrail_query.log_views import log_view
from backtrail_query.models import LogPage, Problem
from backtrail_query.params import (
    End,
    Limit,
    LogCursor,
    Logs,
    Project,
    Severity,
    SpanFilter,
    Start,
    TraceFilter,
    write_cursor,
)
from backtrail_query.views import json_response
from backtrail_store.log_rows import LogFilter

router = APIRouter(prefix="/api/v1/logs", tags=["logs"], responses={400: {"model": Problem}, 422: {"model": Problem}})

TEXT = "words that all stand in the body or in one of its messages and other long values; A to Z in any case"


@router.get("", response_model=LogPage)
def list_logs(
    project: Project,
    logs: Logs,
    start: Start,
    end: End,
    cursor: LogCursor,
    trace_id: TraceFilter,
    span_id: SpanFilter,
    severity: Severity,
    service: Annotated[str | None, Query(description="resource attribute service.name")] = None,
    event_name: Annotated[str | None, Query(examples=["gen_ai.client.inference.operation.details"])] = None,
    text: Annotated[str | None, Query(description=TEXT, max_length=1000)] = None,
    limit: Limit = 50,
) -> Response:
    """Log records, newest first."""
    found = logs.find_logs(
        project,
        LogFilter(
            start=start,
            end=end,
            trace_id=trace_id,
            span_id=span_id,
            service=service,
            event_name=event_name,
            severity=severity,
            text=text,
            before=cursor,
            limit=limit + 1,
        ),
    )
    page, last = found[:limit], found[limit - 1 : limit]
    next_cursor = write_cursor(last[0].time_unix_nano, f"{last[0].hash:x}") if len(found) > limit else None
    return json_response({"logs": [log_view(log) for log in page], "next_cursor": next_cursor})
