"""GET /api/v1/traces/{trace_id}/spans/{span_id}, …/messages: what was said, in one shape whoever recorded it."""

from collections.abc import Iterator, Mapping, Sequence

from fastapi import APIRouter, Response
from pydantic_core import to_json

from backtrail_query.errors import RunNotFound, SpanNotFound
from backtrail_query.log_views import MOST_LOGS_OF_A_TRACE, by_span
from backtrail_query.message_models import Conversation, SpanDetail
from backtrail_query.message_views import said_view, turn_view
from backtrail_query.messages.conversation import agents, model_calls, read_turns
from backtrail_query.messages.pairing import pair_calls, parts_of
from backtrail_query.messages.reading import SpanMessages, read_span
from backtrail_query.messages.tool_calls import askers, asks_for, call_id_attributes, call_id_of, tool_spans
from backtrail_query.models import Problem
from backtrail_query.params import Logs, Project, Reader, SpanId, TraceId
from backtrail_query.routes.traces import json_array
from backtrail_query.views import json_response
from backtrail_store.log_rows import LogFilter, LogRow
from backtrail_store.reader import TraceReader
from backtrail_store.rows import SpanRow

router = APIRouter(
    prefix="/api/v1/traces", tags=["traces"], responses={status: {"model": Problem} for status in (400, 404, 422)}
)

MOST_AT_ONCE = 50  # spans whose payloads are read together: each may hold the whole history

Records = Mapping[str, Sequence[LogRow]]


@router.get("/{trace_id}/spans/{span_id}", response_model=SpanDetail)
def get_span(trace_id: TraceId, span_id: SpanId, project: Project, reader: Reader, logs: Logs) -> Response:
    """One span as its trace tells it, with its messages; of a tool's span also what it was called with, and by whom."""
    spans = reader.get_spans(project, trace_id, [span_id])
    if not spans:
        raise SpanNotFound(trace_id, span_id)
    where = LogFilter(trace_id=trace_id, span_id=span_id, limit=MOST_LOGS_OF_A_TRACE)
    records = logs.find_logs(project, where)[::-1]
    said = read_span(spans[0], records)
    around = _Around(reader, project, trace_id)
    pair_calls(said.messages, around.tool_spans() if parts_of(said.messages, "tool_call") else {})
    called_by = around.caller(spans[0]) if spans[0].step_kind == "tool" else None
    [span] = reader.get_trace_json(project, trace_id, {span_id: json_array(records)}, span_ids=[span_id]).spans
    more = to_json(said_view(spans[0], said, called_by), inf_nan_mode="strings").decode()
    return Response(f"{span[:-1]},{more[1:]}", media_type="application/json")


@router.get("/{trace_id}/messages", response_model=Conversation)
def get_messages(trace_id: TraceId, project: Project, reader: Reader, logs: Logs) -> Response:
    """The conversation of a trace: for each model call what it was given that no earlier one was, and its answer.

    Where no model call has messages, agents tell theirs.
    """
    outline = reader.get_outline(project, trace_id, kept=call_id_attributes())
    records = by_span(logs.get_trace_logs(project, trace_id, limit=MOST_LOGS_OF_A_TRACE))
    if not outline and not records:
        raise RunNotFound(trace_id)
    parents = {span.span_id: span.parent_span_id for span in outline}
    ran_by = tool_spans(outline)
    around = _Around(reader, project, trace_id)
    turns = read_turns(around.said(model_calls(outline), records), parents, ran_by)
    turns = turns or read_turns(around.said(agents(outline), records), parents, ran_by)
    return json_response({"trace_id": trace_id, "turns": [turn_view(turn) for turn in turns]})


class _Around:
    """The other spans of a trace, read as far as they are needed."""

    def __init__(self, reader: TraceReader, project: str, trace_id: str) -> None:
        self._reader = reader
        self._project = project
        self._trace_id = trace_id

    def tool_spans(self) -> dict[str, str]:
        return tool_spans(self._outline())

    def caller(self, tool: SpanRow) -> str | None:
        """The model call that asked for this tool."""
        call_id = call_id_of(tool)
        if call_id is None:
            return None
        calls = self.said(askers(self._outline(), tool), {})
        return next((span.span_id for span, said in calls if asks_for(said.output_messages, call_id)), None)

    def said(self, spans: Sequence[SpanRow], records: Records) -> Iterator[tuple[SpanRow, SpanMessages]]:
        """Each of these spans with what was said in it, without its payloads, in their order."""
        for begin in range(0, len(spans), MOST_AT_ONCE):
            wanted = spans[begin : begin + MOST_AT_ONCE]
            rows = self._reader.get_spans(self._project, self._trace_id, [span.span_id for span in wanted])
            read = {row.span_id: read_span(row, records.get(row.span_id, ())) for row in rows}
            yield from ((span, read[span.span_id]) for span in wanted if span.span_id in read)

    def _outline(self) -> list[SpanRow]:
        return self._reader.get_outline(self._project, self._trace_id, kept=call_id_attributes())
