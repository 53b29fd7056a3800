"""GET /api/v1/runs/{run_id}/otlp: a run as the OTLP request that would bring it here."""

from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from backtrail_query.errors import RunNotFound
from backtrail_query.models import Problem
from backtrail_query.otlp.as_sent import sent_log, sent_span
from backtrail_query.otlp.grouped import pieces
from backtrail_query.otlp.otlp_json import logs_document, spans_document
from backtrail_query.otlp.otlp_protobuf import logs_request, spans_request
from backtrail_query.params import Logs, Project, Reader, RunId
from backtrail_store.log_reader import LogReader
from backtrail_store.reader import TraceReader

router = APIRouter(prefix="/api/v1/runs", tags=["otlp"])

JSON, PROTOBUF = "application/json", "application/x-protobuf"
MOST_RECORDS = 1_000_000


@router.get(
    "/{run_id}/otlp",
    response_class=Response,
    responses={
        200: {"content": {JSON: {}, PROTOBUF: {}}, "description": "an OTLP export request, as Accept says"},
        **{status: {"model": Problem} for status in (400, 404, 422)},
    },
)
def export_run(
    run_id: RunId,
    project: Project,
    reader: Reader,
    logs: Logs,
    signal: Annotated[Literal["traces", "logs"], Query(description="its spans, or the log records of its trace")] = (
        "traces"
    ),
    accept: Annotated[str, Header()] = JSON,
) -> Response:
    """In one order and form: the same run gives the same bytes, here and wherever it was imported."""
    is_protobuf = PROTOBUF in accept
    if signal == "traces":
        body = export_spans(reader, project, run_id, is_protobuf=is_protobuf)
    else:
        body = export_logs(logs, reader, project, run_id, is_protobuf=is_protobuf)
    return StreamingResponse(body, media_type=PROTOBUF if is_protobuf else JSON)


def export_spans(reader: TraceReader, project: str, run_id: str, *, is_protobuf: bool) -> Iterator[bytes]:
    rows = reader.get_trace(project, run_id)
    if not rows:
        raise RunNotFound(run_id)
    spans = pieces([sent_span(row) for row in rows])
    return spans_request(spans) if is_protobuf else spans_document(spans)


def export_logs(
    logs: LogReader, reader: TraceReader, project: str, run_id: str, *, is_protobuf: bool
) -> Iterator[bytes]:
    rows = logs.get_trace_logs(project, run_id, limit=MOST_RECORDS)
    if not rows and not reader.get_outline(project, run_id):
        raise RunNotFound(run_id)
    records = pieces([sent_log(row) for row in rows])
    return chain(logs_request(records), [b""]) if is_protobuf else logs_document(records)
