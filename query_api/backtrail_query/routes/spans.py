"""GET /api/v1/traces/{trace_id}/spans/{span_id}, …/messages: what was said, in one shape whoever recorded it."""

from fastapi import APIRouter, Response
from pydantic_core import to_json

from backtrail_query.errors import RunNotFound, SpanNotFound
from backtrail_query.log_views import MOST_LOGS_OF_A_TRACE
from backtrail_query.message_models import Conversation, SpanDetail
from backtrail_query.message_views import said_view, turn_view
from backtrail_query.messages.conversation import agents, model_calls, read_turns
from backtrail_query.messages.pairing import call_ids, pair_calls
from backtrail_query.messages.reading import read_span
from backtrail_query.models import Problem
from backtrail_query.params import Logs, Project, Reader, SpanId, TraceId
from backtrail_query.routes.traces import json_array
from backtrail_query.trace_reading import TraceReading
from backtrail_query.views import json_response
from backtrail_store.log_rows import LogFilter

router = APIRouter(
    prefix="/api/v1/traces", tags=["traces"], responses={status: {"model": Problem} for status in (400, 404, 422)}
)


@router.get("/{trace_id}/spans/{span_id}", response_model=SpanDetail)
def get_span(trace_id: TraceId, span_id: SpanId, project: Project, reader: Reader, logs: Logs) -> Response:
    """One span as its trace tells it, with its messages; of a tool's span also what it was called with, and by whom."""
    spans = reader.get_spans(project, trace_id, [span_id])
    if not spans:
        raise SpanNotFound(trace_id, span_id)
    where = LogFilter(trace_id=trace_id, span_id=span_id, limit=MOST_LOGS_OF_A_TRACE)
    records = logs.find_logs(project, where)[::-1]
    said = read_span(spans[0], records)
    trace = TraceReading(reader, logs, project, trace_id)
    pair_calls(said.messages, trace.tool_spans(call_ids(said.messages)))
    called_by = trace.caller(spans[0], said) if spans[0].step_kind == "tool" else None
    told = reader.get_trace_json(project, trace_id, {span_id: json_array(records)}, span_ids=[span_id]).spans
    if not told:
        raise SpanNotFound(trace_id, span_id)  # erased in between
    more = to_json(said_view(spans[0], said, called_by), inf_nan_mode="strings").decode()
    return Response(f"{told[0][:-1]},{more[1:]}", media_type="application/json")


@router.get("/{trace_id}/messages", response_model=Conversation)
def get_messages(trace_id: TraceId, project: Project, reader: Reader, logs: Logs) -> Response:
    """The conversation of a trace: for each model call what it was given that no earlier one was, and its answer.

    Where no model call has messages, agents tell theirs.
    """
    trace = TraceReading(reader, logs, project, trace_id)
    if not trace.steps and not trace.records:
        raise RunNotFound(trace_id)
    turns = read_turns(trace.said(model_calls(trace.steps)), trace.parents)
    turns = turns or read_turns(trace.said(agents(trace.steps)), trace.parents)
    told = [message for turn in turns for message in (*turn.new_messages, *turn.output_messages)]
    pair_calls(told, trace.tool_spans(call_ids(told)))
    return json_response({"trace_id": trace_id, "turns": [turn_view(turn) for turn in turns]})
