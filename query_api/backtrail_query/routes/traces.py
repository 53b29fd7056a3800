"""GET /api/v1/traces/{trace_id}: every span of a trace, with every attribute."""

from fastapi import APIRouter, Response

from backtrail_query.errors import RunNotFound
from backtrail_query.models import Problem, TraceView
from backtrail_query.params import Project, Reader, TraceId

router = APIRouter(
    prefix="/api/v1/traces", tags=["traces"], responses={status: {"model": Problem} for status in (400, 404, 422)}
)


@router.get("/{trace_id}", response_model=TraceView)
def get_trace(trace_id: TraceId, project: Project, reader: Reader) -> Response:
    """All spans by start time, whoever sent them."""
    spans = reader.get_trace_json(project, trace_id)
    if not spans:
        raise RunNotFound(trace_id)
    return Response(f'{{"trace_id":"{trace_id}","spans":[{",".join(spans)}]}}', media_type="application/json")
