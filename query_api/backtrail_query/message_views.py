"""Messages → the plain dicts that become JSON.

reading, conversation → **message_views** → routes/spans.py
"""

from backtrail_query.messages.conversation import Turn
from backtrail_query.messages.reading import SpanMessages
from backtrail_query.views import JsonObject, rfc3339
from backtrail_store.rows import SpanRow


def said_view(span: SpanRow, said: SpanMessages, called_by: str | None) -> JsonObject:
    """What a span has beside what its trace tells of it."""
    is_retriever = span.step_kind in ("retriever", "reranker")
    return {
        "input_messages": [message.as_json() for message in said.input_messages],
        "output_messages": [message.as_json() for message in said.output_messages],
        "system_instructions": said.system_instructions,
        "tool_definitions": said.tool_definitions,
        "tool": _tool_view(span, said, called_by) if span.step_kind == "tool" else None,
        "retrieval": {"query": said.retrieval_query, "documents": said.retrieval_documents} if is_retriever else None,
        "embedding_input": said.embedding_input,
        "messages_from": said.told_by,
        "dropped_messages": said.dropped,
    }


def _tool_view(span: SpanRow, said: SpanMessages, called_by: str | None) -> JsonObject:
    return {
        "name": span.tool_name or None,
        "call_id": span.tool_call_id or said.tool_call_id,
        "arguments": said.tool_arguments,
        "result": said.tool_result,
        "called_by": called_by,
    }


def turn_view(turn: Turn) -> JsonObject:
    span = turn.span
    return {
        "span_id": span.span_id,
        "name": span.name,
        "agent_name": span.agent_name or None,
        "request_model": span.request_model or None,
        "response_model": span.response_model or None,
        "start_time_unix_nano": span.start_time_unix_nano,
        "start_time": rfc3339(span.start_time_unix_nano),
        "duration_ns": span.duration_ns,
        "is_pending": span.is_pending,
        "error_type": span.error_type or None,
        "new_messages": [message.as_json() for message in turn.new_messages],
        "seen_count": turn.seen_count,
        "output_messages": [message.as_json() for message in turn.output_messages],
        "dropped_messages": turn.dropped,
    }
