"""A trace's spans around the one that is asked for, read as far as they are needed.

reader, log_reader → **trace_reading** → routes/spans.py
"""

from collections.abc import Iterator, Sequence, Set
from functools import cached_property

from backtrail_query.log_views import MOST_LOGS_OF_A_TRACE, by_span
from backtrail_query.messages.reading import SpanMessages, read_span
from backtrail_query.messages.tool_calls import (
    askers,
    asks_for,
    nameless_tools,
    tool_spans,
)
from backtrail_store.log_reader import LogReader
from backtrail_store.log_rows import LogRow
from backtrail_store.reader import TraceReader
from backtrail_store.rows import SpanRow, StepRow

MOST_AT_ONCE = 50  # spans whose payloads are read together: each may hold the whole history


class TraceReading:
    def __init__(self, reader: TraceReader, logs: LogReader, project: str, trace_id: str) -> None:
        self._reader = reader
        self._logs = logs
        self._project = project
        self._trace_id = trace_id

    @cached_property
    def steps(self) -> list[StepRow]:
        return self._reader.get_steps(self._project, self._trace_id)

    @cached_property
    def parents(self) -> dict[str, str]:
        return {span.span_id: span.parent_span_id for span in self.steps}

    @cached_property
    def records(self) -> dict[str, list[LogRow]]:
        """Log records by span."""
        return by_span(self._logs.get_trace_logs(self._project, self._trace_id, limit=MOST_LOGS_OF_A_TRACE))

    def said(self, spans: Sequence[StepRow]) -> Iterator[tuple[StepRow, SpanMessages]]:
        """Each of these spans with what was said in it, in their order."""
        for begin in range(0, len(spans), MOST_AT_ONCE):
            wanted = spans[begin : begin + MOST_AT_ONCE]
            rows = self._reader.get_spans(self._project, self._trace_id, [span.span_id for span in wanted])
            read = {row.span_id: read_span(row, self.records.get(row.span_id, ())) for row in rows}
            yield from ((span, read[span.span_id]) for span in wanted if span.span_id in read)

    def tool_spans(self, call_ids: Set[str]) -> dict[str, str]:
        """The spans that ran these calls."""
        if not call_ids:
            return {}
        found = tool_spans(self.steps)
        if call_ids <= found.keys():
            return found
        for span, said in self.said(nameless_tools(self.steps)):
            if said.tool_call_id is not None:
                found.setdefault(said.tool_call_id, span.span_id)
        return found

    def caller(self, tool: SpanRow, said: SpanMessages) -> str | None:
        """The model call that asked for this tool."""
        call_id = tool.tool_call_id or said.tool_call_id
        if call_id is None:
            return None
        calls = self.said(askers(self.steps, tool))
        return next((span.span_id for span, asked in calls if asks_for(asked.output_messages, call_id)), None)
