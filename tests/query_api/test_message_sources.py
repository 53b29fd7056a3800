"""Where each dialect puts what was said: every line of sources.toml, sent as a span of its own."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail_query.messages.__main__ import PAGE
from backtrail_query.messages.page import page
from backtrail_query.messages.reading import SpanMessages, read_span
from backtrail_query.messages.table import Source, table
from backtrail_store import Store
from backtrail_store.conventions.table import conventions
from tests.factories import (
    START,
    TRACE_ID,
    batch_of,
    key_values,
    log_record,
    logs_batch_of,
    logs_request,
    otlp_request,
    plain_span,
    span_id,
)

HELLO = [{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]
HI = [{"role": "assistant", "parts": [{"type": "text", "content": "hi"}]}]
CHAT = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
LAMP = {"q": "lamp"}
DOCUMENT = {"id": "d1", "score": 0.5, "content": "a lamp", "metadata": {"page": 1}}
SEARCH = {"type": "function", "name": "search", "description": "finds", "parameters": {"type": "object"}}

# What a field is about: what the step does, and what is to come out.
KINDS = {"tool_arguments": "execute_tool", "tool_result": "execute_tool", "embedding_input": "embeddings"}
KINDS |= {"retrieval_query": "retrieval", "retrieval_documents": "retrieval"}
OUT: dict[str, Any] = {
    "input_messages": HELLO,
    "output_messages": HI,
    "system_instructions": [{"type": "text", "content": "be brief"}],
    "tool_definitions": [SEARCH],
    "tool_arguments": LAMP,
    "tool_result": LAMP,
    "retrieval_query": LAMP,
    "retrieval_documents": [DOCUMENT],
    "embedding_input": ["hello"],
}

# What is sent, by field and form: the value of an attribute, or what follows the name in those of a family.
IN: dict[tuple[str, str], Any] = {
    ("input_messages", "any"): {"messages": CHAT[:1]},
    ("input_messages", "otel"): HELLO,
    ("input_messages", "openai"): {"messages": CHAT[:1]},
    ("input_messages", "entries"): {"role": "user", "content": "hello"},
    ("input_messages", "vercel"): {"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]},
    ("input_messages", "history_before"): CHAT,
    ("input_messages", "text"): "hello",
    ("input_messages", "gemini"): {"contents": [{"role": "user", "parts": [{"text": "hello"}]}], "config": {}},
    ("input_messages", "genkit"): {"messages": [{"role": "user", "content": [{"text": "hello"}]}]},
    ("output_messages", "any"): {"choices": [{"message": CHAT[1]}]},
    ("output_messages", "otel"): HI,
    ("output_messages", "openai"): {"message": CHAT[1]},
    ("output_messages", "entries"): {"role": "assistant", "content": "hi"},
    ("output_messages", "vercel_answer"): {"text": "hi"},
    ("output_messages", "history_answer"): CHAT,
    ("output_messages", "text"): "hi",
    ("output_messages", "gemini"): {"content": {"role": "model", "parts": [{"text": "hi"}]}},
    ("output_messages", "genkit"): {"message": {"role": "model", "content": [{"text": "hi"}]}},
    ("system_instructions", "otel"): OUT["system_instructions"],
    ("tool_definitions", "json"): [{"type": "function", "function": SEARCH}],
    ("tool_definitions", "gemini"): {"config": {"tools": [{"function_declarations": [SEARCH]}]}, "contents": []},
    ("tool_definitions", "genkit"): {"messages": [], "tools": [{**SEARCH, "type": "function"}]},
    ("tool_definitions", "openai"): {"messages": [], "tools": [{"type": "function", "function": SEARCH}]},
    ("retrieval_documents", "json"): [DOCUMENT],
    ("embedding_input", "json"): "hello",
}
ENTRIES: dict[str, dict[str, str]] = {
    "llm.input_messages": {"message.role": "user", "message.content": "hello"},
    "llm.output_messages": {"message.role": "assistant", "message.content": "hi"},
    "llm.tools": {"tool.json_schema": json.dumps({"type": "function", "function": SEARCH})},
    "llm.request.functions": {"name": "search", "description": "finds", "parameters": '{"type": "object"}'},
    "embedding.embeddings": {"embedding.text": "hello"},
}
DOCUMENT_ENTRY: dict[str, Any] = {
    "document.id": "d1",
    "document.score": 0.5,
    "document.content": "a lamp",
    "document.metadata": '{"page": 1}',
}
EVENTS: dict[str, dict[str, Any]] = {
    "gen_ai.system.message": {"content": "hello", "role": "user"},
    "gen_ai.choice": {"index": 0, "message": json.dumps({"role": "assistant", "content": "hi"})},
    "tool.output": {"output": json.dumps(LAMP)},
    "db.query.result": {
        "db.query.result.id": "d1",
        "db.query.result.score": 0.5,
        "db.query.result.document": "a lamp",
        "db.query.result.metadata": '{"page": 1}',
    },
}


@dataclass(frozen=True)
class Line:
    field: str
    source: Source

    def __str__(self) -> str:
        return f"{self.field} {self.source.place} {self.source.name} {self.source.member}"

    @property
    def wanted(self) -> Any:
        return (
            "lamp" if self.source.form == "text" and self.field.startswith(("tool", "retrieval")) else OUT[self.field]
        )

    @property
    def scope(self) -> str:
        """A bare word counts in its dialect's own spans only; one of no dialect in any step."""
        dialect = next(each for each in conventions().dialects if each.key == self.source.dialect)
        return dialect.scopes[0].replace("*", "tracing") if self.source.is_bare and dialect.scopes else "test"

    @property
    def value(self) -> Any:
        if self.source.form == "text" and self.wanted == "lamp":
            return "lamp"
        sent = IN.get((self.field, self.source.form), LAMP)
        return sent if isinstance(sent, str) else json.dumps(sent)

    @property
    def attributes(self) -> dict[str, Any]:
        kind = {"gen_ai.operation.name": KINDS.get(self.field, "chat")}
        match self.source.place:
            case "attribute":
                return kind | {self.source.name: self.value}
            case "family":
                said = ENTRIES.get(self.source.name) or IN.get((self.field, "entries"), DOCUMENT_ENTRY)
                return kind | {f"{self.source.name}.0.{key}": value for key, value in said.items()}
            case "members":
                said = IN[self.field, self.source.form]
                return kind | {f"{self.source.name}.{key}": value for key, value in said.items()}
            case "event":
                return kind

    @property
    def event(self) -> dict[str, Any] | None:
        if self.source.place != "event":
            return None
        return {self.source.member: self.value} if self.source.member else EVENTS[self.source.name]


LINES = [
    Line(field.name, source)
    for field in table().fields.values()
    for source in field.sources
    if field.name != "finish_reasons"
]
NUMBERED = list(enumerate(LINES, 1))
OF_EVENTS = [(number, line) for number, line in NUMBERED if line.event is not None]


def span_of(number: int, line: Line, *, with_event: bool = True) -> Span:
    event = line.event if with_event else None
    events = [Span.Event(name=line.source.name, time_unix_nano=START, attributes=key_values(event))] if event else []
    return plain_span(str(number), id_=span_id(number), attributes=line.attributes, events=events)


def read(store: Store, spans: Iterable[tuple[Span, str]], records: Sequence[LogRecord] = ()) -> dict[str, SpanMessages]:
    request = otlp_request()
    request.resource_spans[0].ClearField("scope_spans")
    for span, scope in spans:
        request.resource_spans[0].scope_spans.add(scope=InstrumentationScope(name=scope), spans=[span])
    store.insert(batch_of(request))
    if records:
        store.insert(logs_batch_of(logs_request(*records)))
    logs = store.log_reader.get_trace_logs("default", TRACE_ID.hex(), limit=1000)
    rows = store.reader.get_trace("default", TRACE_ID.hex())
    return {row.name: read_span(row, [log for log in logs if log.span_id == row.span_id]) for row in rows}


def told(said: SpanMessages, field: str) -> Any:
    found = getattr(said, field)
    return [message.as_json() for message in found] if field.endswith("_messages") else found


def test_every_line_of_the_table_says_what_its_field_is_about(store: Store) -> None:
    found = read(store, [(span_of(number, line), line.scope) for number, line in NUMBERED])

    for number, line in NUMBERED:
        said = found[str(number)]
        assert told(said, line.field) == line.wanted, str(line)
        source = {"source": "event" if line.source.place == "event" else "attribute", "name": line.source.name}
        assert said.told_by[line.field] == source | {"dialect": line.source.dialect}, str(line)


def test_every_event_of_the_table_may_come_as_a_log_record(store: Store) -> None:
    spans = [(span_of(number, line, with_event=False), line.scope) for number, line in OF_EVENTS]
    records = [
        log_record(None, event_name=line.source.name, span_id=span_id(number), attributes=line.event)
        for number, line in OF_EVENTS
    ]

    found = read(store, spans, records)

    for number, line in OF_EVENTS:
        assert told(found[str(number)], line.field) == line.wanted, str(line)
        assert found[str(number)].told_by[line.field]["source"] == "log"


def test_a_record_may_say_it_in_its_body(store: Store) -> None:
    chat = plain_span("chat", id_=span_id(1), attributes={"gen_ai.operation.name": "chat"})
    records = [
        log_record({"content": "hello"}, event_name="gen_ai.user.message", span_id=span_id(1)),
        log_record(
            {"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "hi"}},
            event_name="gen_ai.choice",
            span_id=span_id(1),
            time=START + 1,
        ),
    ]

    said = read(store, [(chat, "test")], records)["chat"]

    assert told(said, "input_messages") == HELLO
    assert told(said, "output_messages") == [HI[0] | {"finish_reason": "tool_call"}]


def test_of_two_sources_the_earlier_line_counts(store: Store) -> None:
    lines = [line for line in LINES if line.field == "input_messages" and line.source.place == "attribute"]
    both = [line for line in lines if not line.source.is_bare]
    spans = [
        (plain_span(f"{n}", id_=span_id(n), attributes={**later.attributes, **earlier.attributes}), "test")
        for n, (earlier, later) in enumerate(pairwise(both), 1)
    ]

    found = read(store, spans)

    assert [said.told_by["input_messages"]["name"] for said in found.values()] == [
        line.source.name for line in both[:-1]
    ]


def test_what_tools_and_retrievers_take_is_no_message(store: Store) -> None:
    attributes = {"input.value": "lamps", "output.value": "found", "gen_ai.input.messages": json.dumps(HELLO)}
    spans = [
        plain_span(kind, id_=span_id(n), attributes={"openinference.span.kind": kind, **attributes})
        for n, kind in enumerate(("TOOL", "RETRIEVER", "CHAIN"), 1)
    ]

    found = read(store, [(span, "test") for span in spans])

    assert [len(found[kind].output_messages) for kind in ("TOOL", "RETRIEVER", "CHAIN")] == [0, 0, 1]
    assert all(told(said, "input_messages") == HELLO for said in found.values())
    assert (found["TOOL"].tool_arguments, found["RETRIEVER"].retrieval_query) == ("lamps", "lamps")


def test_a_bare_word_counts_in_its_own_dialect_only(store: Store) -> None:
    spans = [
        (
            plain_span("claude", id_=span_id(1), attributes={"user_prompt": "hello"}),
            "com.anthropic.claude_code.tracing",
        ),
        (plain_span("shop", id_=span_id(2), attributes={"user_prompt": "hello", "input": "x", "output": "y"}), "shop"),
    ]

    found = read(store, spans)

    assert told(found["claude"], "input_messages") == HELLO
    assert found["shop"].messages == []


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("gen_ai.response.finish_reasons", ["tool_calls"], "tool_call"),
        ("gen_ai.response.finish_reasons", '["end_turn"]', "stop"),
        ("llm.finish_reason", "max_tokens", "length"),
        ("gen_ai.response.finish_reason", "STOP", "stop"),
        ("gen_ai.response.stop_reason", "tool_use", "tool_call"),
        ("ai.response.finishReason", "content-filter", "content_filter"),
    ],
)
def test_an_answer_ends_for_the_reason_that_stands_beside(store: Store, name: str, value: Any, reason: str) -> None:
    span = plain_span("chat", attributes={"gen_ai.output.messages": json.dumps(HI), name: value})

    [answer] = read(store, [(span, "test")])["chat"].output_messages

    assert answer.finish_reason == reason


def test_system_instructions_stand_in_front_unless_a_system_message_is_there(store: Store) -> None:
    apart = {"gen_ai.system_instructions": '"be brief"', "gen_ai.input.messages": json.dumps(HELLO)}
    within = json.dumps([{"role": "developer", "content": "be kind"}, *HELLO])
    spans = [
        plain_span("apart", id_=span_id(1), attributes=apart),
        plain_span("within", id_=span_id(2), attributes={"gen_ai.input.messages": within}),
        plain_span("both", id_=span_id(3), attributes=apart | {"gen_ai.input.messages": within}),
    ]

    found = read(store, [(span, "test") for span in spans])

    assert [message.role for message in found["apart"].input_messages] == ["system", "user"]
    assert [message.parts[0]["content"] for message in found["both"].input_messages] == ["be kind", "hello"]
    assert [said.system_instructions[0]["content"] for said in found.values()] == ["be brief", "be kind", "be brief"]


def test_what_openinference_numbers_apart_is_one_answer(store: Store) -> None:
    """Of a response of OpenAI the reasoning is a message of its own, of Anthropic's a call has an empty block too."""
    kind = {"openinference.span.kind": "LLM"}
    first, second = "llm.output_messages.0.message", "llm.output_messages.1.message"
    thought = {f"{first}.role": "assistant", f"{first}.contents.0.message_content.type": "reasoning"}
    thought |= {f"{first}.contents.0.message_content.text": "hm", f"{second}.role": "assistant"}
    call = f"{second}.tool_calls.0.tool_call"
    asked = {f"{second}.contents.0.message_content.type": "tool_use", f"{call}.id": "c1"}
    asked |= {f"{call}.function.name": "search", f"{call}.function.arguments": json.dumps(LAMP)}

    [answer] = read(store, [(plain_span("llm", attributes=kind | thought | asked), "test")])["llm"].output_messages

    assert answer.parts == [
        {"type": "reasoning", "content": "hm"},
        {"type": "tool_call", "id": "c1", "name": "search", "arguments": LAMP},
    ]


def test_a_graph_that_gives_back_its_state_answers_what_it_added(store: Store) -> None:
    state = {"openinference.span.kind": "CHAIN", "input.value": json.dumps({"messages": CHAT[:1]})}
    state |= {"output.value": json.dumps({"messages": CHAT})}

    said = read(store, [(plain_span("graph", attributes=state), "test")])["graph"]

    assert (told(said, "input_messages"), told(said, "output_messages")) == (HELLO, HI)


def test_langchains_callbacks_have_arguments_and_results_among_what_else_they_know(store: Store) -> None:
    result = {"lc": 1, "id": ["ToolMessage"], "kwargs": {"content": json.dumps(LAMP), "tool_call_id": "c1"}}
    spans = [
        plain_span(
            name,
            id_=span_id(n),
            attributes={
                "traceloop.span.kind": "tool",
                "traceloop.entity.input": json.dumps({"input_str": "x", "inputs": LAMP, "tags": [], "metadata": {}}),
                "traceloop.entity.output": json.dumps({"output": output, "kwargs": {"name": "search"}}),
            },
        )
        for n, (name, output) in enumerate((("message", result), ("text", "found")), 1)
    ]

    found = read(store, [(span, "test") for span in spans])

    assert (found["message"].tool_arguments, found["message"].tool_result) == (LAMP, LAMP)
    assert (found["message"].tool_call_id, found["text"].tool_result) == ("c1", "found")


def test_the_page_made_of_the_table_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run `make conventions`"
    assert {source.form for field in table().fields.values() for source in field.sources} == set(table().forms)
