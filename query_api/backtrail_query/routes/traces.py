"""GET /api/v1/traces/{trace_id}: every span of a trace, with every attribute and its log records."""

from collections.abc import Iterable

from fastapi import APIRouter, Response
from pydantic_core import to_json

from backtrail_query.errors import RunNotFound
from backtrail_query.log_views import MOST_LOGS_OF_A_TRACE, by_span, first_of_trace, log_view
from backtrail_query.models import Problem, TraceView
from backtrail_query.params import Logs, Project, Reader, TraceId
from backtrail_store.log_rows import LogRow

router = APIRouter(
    prefix="/api/v1/traces", tags=["traces"], responses={status: {"model": Problem} for status in (400, 404, 422)}
)


@router.get("/{trace_id}", response_model=TraceView)
def get_trace(trace_id: TraceId, project: Project, reader: Reader, logs: Logs) -> Response:
    """All spans by start time, whoever sent them, each with the log records made in it."""
    records, has_more = first_of_trace(logs.get_trace_logs(project, trace_id, limit=MOST_LOGS_OF_A_TRACE + 1))
    beside = by_span(records)
    trace = reader.get_trace_json(
        project, trace_id, {span_id: json_array(of_span) for span_id, of_span in beside.items()}
    )
    if not trace.spans and not records:
        raise RunNotFound(trace_id)
    elsewhere = json_array(record for record in records if record.span_id not in trace.span_ids)
    members = (
        f'"trace_id":"{trace_id}"',
        f'"spans":[{",".join(trace.spans)}]',
        f'"logs":{elsewhere}',
        f'"has_more_logs":{"true" if has_more else "false"}',
    )
    return Response(f"{{{','.join(members)}}}", media_type="application/json")


def json_array(records: Iterable[LogRow]) -> str:
    return to_json([log_view(record) for record in records]).decode()
