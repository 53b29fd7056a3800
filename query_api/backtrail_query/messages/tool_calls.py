"""Tools that ran, and the models that asked for them.

[StepRow] → **tool_calls** → pairing, conversation, routes/spans.py
"""

from collections.abc import Iterable, Sequence

from backtrail_query.messages.pairing import parts_of
from backtrail_query.messages.parts import Message
from backtrail_store.rows import SpanRow, StepRow


def tool_spans(spans: Iterable[StepRow]) -> dict[str, str]:
    """The span that ran each call. Of several it is the outermost, which began first; a tool before what is not one."""
    found: dict[str, str] = {}
    for span in sorted(spans, key=lambda span: (span.step_kind != "tool", span.start_time_unix_nano)):
        if span.tool_call_id:
            found.setdefault(span.tool_call_id, span.span_id)
    return found


def nameless_tools(spans: Iterable[StepRow]) -> list[StepRow]:
    """Tools of which no attribute says the call: LangChain's results may say it."""
    return [span for span in spans if span.step_kind == "tool" and not span.tool_call_id]


def askers(spans: Iterable[StepRow], tool: SpanRow) -> list[StepRow]:
    """Who may have asked for this tool, the likeliest first: model calls before agents, the latest before it first."""
    before = [
        span
        for span in spans
        if span.start_time_unix_nano <= tool.start_time_unix_nano
        and span.span_id != tool.span_id
        and span.step_kind in ("llm", "agent")
    ]
    return sorted(before, key=lambda span: (span.step_kind != "llm", -span.start_time_unix_nano))


def asks_for(messages: Sequence[Message], call_id: str) -> bool:
    return any(call["id"] == call_id for call in parts_of(messages, "tool_call"))
