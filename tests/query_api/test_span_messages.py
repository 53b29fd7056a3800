"""One span with its messages, and the conversation of a trace, over the API and a real store."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail_query.message_models import Conversation, SpanDetail
from backtrail_query.models import Problem, TraceView
from backtrail_store import Keeping, Store
from tests.conftest import Insert
from tests.factories import (
    ROOT_ID,
    SECOND,
    START,
    TRACE_ID,
    Attributes,
    key_values,
    log_record,
    logs_batch_of,
    logs_request,
    plain_span,
    span_id,
)

TRACE = TRACE_ID.hex()
PATH = f"/api/v1/traces/{TRACE}"
SEARCH = {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": '{"q": "lamp"}'}}
QUESTION = {"role": "user", "content": "a lamp?"}
ASKING = {"role": "assistant", "content": "I look.", "tool_calls": [SEARCH]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "a desk lamp"}
ANSWER = {"role": "assistant", "content": "A desk lamp."}
FOUND = "a desk lamp"


def chat(number: int, given: Sequence[object], answered: object, *, parent: bytes = ROOT_ID, **more: Any) -> Span:
    attributes: Attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.input.messages": json.dumps(given),
        "gen_ai.output.messages": json.dumps([answered]),
    }
    return at(number, "chat gpt-4o", attributes, parent=parent, **more)


def tool(number: int, call_id: str = "call_1") -> Span:
    attributes: Attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.call.id": call_id,
        "gen_ai.tool.call.arguments": '{"q": "lamp"}',
        "gen_ai.tool.call.result": FOUND,
    }
    return at(number, "execute_tool search", attributes)


def at(number: int, name: str, attributes: Attributes, *, parent: bytes = ROOT_ID, **more: Any) -> Span:
    start = START + number * SECOND // 10
    return plain_span(name, id_=span_id(number), parent_id=parent, start=start, attributes=attributes, **more)


def agent(attributes: Attributes | None = None) -> Span:
    return plain_span("invoke_agent shop", attributes={"gen_ai.operation.name": "invoke_agent", **(attributes or {})})


@pytest.fixture
def shop(insert: Insert) -> None:
    """An agent asks a model, runs the tool it wants, and asks again."""
    insert(agent(), chat(1, [QUESTION], ASKING), tool(2), chat(3, [QUESTION, ASKING, RESULT], ANSWER))


def span(api: TestClient, number: int) -> SpanDetail:
    answer = api.get(f"{PATH}/spans/{span_id(number).hex()}")
    assert answer.status_code == 200, answer.text
    return SpanDetail.model_validate_json(answer.content)


def conversation(api: TestClient) -> Conversation:
    answer = api.get(f"{PATH}/messages")
    assert answer.status_code == 200, answer.text
    return Conversation.model_validate_json(answer.content)


def contents(messages: Sequence[Any]) -> list[Any]:
    return [getattr(part, "content", part.type) for message in messages for part in message.parts]


def call_of(messages: Sequence[Any]) -> Any:
    [call] = [part for message in messages for part in message.parts if part.type == "tool_call"]
    return call


@pytest.mark.usefixtures("shop")
def test_a_span_is_told_as_its_trace_tells_it(api: TestClient, insert: Insert, store: Store) -> None:
    store.insert(logs_batch_of(logs_request(log_record("looking", span_id=span_id(1)))))
    event = Span.Event(name="said", time_unix_nano=START, attributes=key_values({"n": 1.0}))
    insert(at(9, "odd", {"a": b"\x00", "b": float("nan")}, events=[event]))
    trace = TraceView.model_validate_json(api.get(PATH).content)

    for told in trace.spans:
        detail = SpanDetail.model_validate_json(api.get(f"{PATH}/spans/{told.span_id}").content)
        shared = set(type(told).model_fields)
        assert detail.model_dump(include=shared) == told.model_dump()


@pytest.mark.usefixtures("shop")
def test_a_model_calls_span_says_which_span_ran_the_tool_it_asked_for(api: TestClient) -> None:
    asking, answering = span(api, 1), span(api, 3)

    assert (call_of(asking.output_messages).has_result, call_of(answering.input_messages).has_result) == (False, True)
    assert call_of(asking.output_messages).tool_span_id == span_id(2).hex()
    assert call_of(answering.input_messages).tool_span_id == span_id(2).hex()
    assert asking.messages_from["input_messages"].model_dump() == {
        "source": "attribute",
        "name": "gen_ai.input.messages",
        "dialect": "otel",
    }
    assert asking.tool is None


@pytest.mark.usefixtures("shop")
def test_a_tools_span_says_what_it_was_called_with_and_by_whom(api: TestClient) -> None:
    told = span(api, 2).tool

    assert told is not None
    assert told.model_dump() == {
        "name": "search",
        "call_id": "call_1",
        "arguments": {"q": "lamp"},
        "result": FOUND,
        "called_by": span_id(1).hex(),
    }


def test_a_tool_whose_result_alone_names_the_call_is_linked_to_it(api: TestClient, insert: Insert) -> None:
    result = {"type": "tool", "data": {"content": FOUND, "tool_call_id": "call_1"}}
    ran: Attributes = {"openinference.span.kind": "TOOL", "tool.name": "search", "output.value": json.dumps(result)}
    insert(agent(), chat(1, [QUESTION], ASKING), at(2, "search", ran))

    told = span(api, 2).tool
    assert told is not None
    assert (told.call_id, told.result, told.called_by) == ("call_1", FOUND, span_id(1).hex())
    assert call_of(span(api, 1).output_messages).tool_span_id == span_id(2).hex()
    assert call_of(conversation(api).turns[0].output_messages).tool_span_id == span_id(2).hex()


def test_a_tool_that_no_model_asked_for_has_no_caller(api: TestClient, insert: Insert) -> None:
    insert(agent(), chat(1, [QUESTION], ASKING), tool(2, "call_7"))

    assert call_of(span(api, 1).output_messages).tool_span_id is None
    told = span(api, 2).tool
    assert told is not None
    assert (told.call_id, told.called_by) == ("call_7", None)


@pytest.mark.usefixtures("shop")
def test_a_conversation_tells_each_message_once_in_order(api: TestClient) -> None:
    first, second = conversation(api).turns

    assert (first.span_id, second.span_id) == (span_id(1).hex(), span_id(3).hex())
    assert (contents(first.new_messages), contents(first.output_messages)) == (["a lamp?"], ["I look.", "tool_call"])
    assert (contents(second.new_messages), contents(second.output_messages)) == (
        ["tool_call_response"],
        ["A desk lamp."],
    )
    assert (first.seen_count, second.seen_count) == (0, 2)
    assert call_of(first.output_messages).has_result
    assert call_of(first.output_messages).tool_span_id == span_id(2).hex()


def test_a_message_that_comes_again_is_told_again(api: TestClient, insert: Insert) -> None:
    yes, fine = {"role": "user", "content": "yes"}, {"role": "assistant", "content": "fine"}
    insert(agent(), chat(1, [yes], fine), chat(2, [yes, fine, yes], fine), chat(3, [yes, fine, yes, fine], ANSWER))

    assert [contents(turn.new_messages) for turn in conversation(api).turns] == [["yes"], ["yes"], []]


def test_a_history_is_known_again_without_its_reasoning_and_however_it_is_cut(api: TestClient, insert: Insert) -> None:
    thinking = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "A."}],
    }
    insert(agent(), chat(1, [QUESTION], thinking), chat(2, [QUESTION, {"role": "assistant", "content": "A."}], ANSWER))

    assert [contents(turn.new_messages) for turn in conversation(api).turns] == [["a lamp?"], []]


def test_of_nested_spans_of_one_call_the_innermost_with_messages_tells_it(api: TestClient, insert: Insert) -> None:
    silent = at(3, "chat", {"gen_ai.operation.name": "chat"}, parent=span_id(2))
    insert(agent(), chat(1, [QUESTION], ANSWER), chat(2, [QUESTION], ANSWER, parent=span_id(1)), silent)

    assert [turn.span_id for turn in conversation(api).turns] == [span_id(2).hex()]


def test_where_no_model_call_has_messages_agents_tell_theirs(api: TestClient, insert: Insert) -> None:
    said: Attributes = {"input.value": "a lamp?", "output.value": "A desk lamp."}
    insert(agent(said), at(1, "chat", {"gen_ai.operation.name": "chat"}))

    [turn] = conversation(api).turns
    assert (turn.span_id, contents(turn.output_messages)) == (ROOT_ID.hex(), ["A desk lamp."])


def test_spans_whose_parents_go_round_in_a_circle_are_told(api: TestClient, insert: Insert) -> None:
    insert(chat(1, [QUESTION], ANSWER, parent=span_id(2)), chat(2, [QUESTION], ANSWER, parent=span_id(1)))

    assert len(conversation(api).turns) == 1


def test_log_records_tell_what_attributes_do_not(api: TestClient, insert: Insert, store: Store) -> None:
    insert(agent(), at(1, "chat", {"gen_ai.operation.name": "chat"}))
    details: Attributes = {
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "a lamp?"}]}],
        "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "yes" * 1000}]}],
    }
    name = "gen_ai.client.inference.operation.details"
    store.insert(logs_batch_of(logs_request(log_record(None, event_name=name, span_id=span_id(1), attributes=details))))

    [turn] = conversation(api).turns
    told = span(api, 1)
    assert contents(turn.new_messages) == contents(told.input_messages) == ["a lamp?"]
    assert contents(told.output_messages) == ["yes" * 1000]
    assert told.messages_from["output_messages"].source == "log"
    assert [record.event_name for record in told.logs] == [name]


def test_retrievers_and_embeddings_say_what_they_took_and_found(api: TestClient, insert: Insert) -> None:
    found: Attributes = {
        "openinference.span.kind": "RETRIEVER",
        "input.value": "lamps",
        "retrieval.documents.0.document.content": "a desk lamp",
        "retrieval.documents.0.document.score": 0.5,
    }
    insert(agent(), at(1, "find", found), at(2, "embed", {"ai.operationId": "ai.embed.doEmbed", "ai.value": "lamps"}))

    retrieval = span(api, 1).retrieval
    assert retrieval is not None
    assert (retrieval.query, [each.content for each in retrieval.documents]) == ("lamps", ["a desk lamp"])
    assert span(api, 2).embedding_input == ["lamps"]


def test_where_the_payloads_have_aged_out_there_are_no_messages(api: TestClient, insert: Insert, store: Store) -> None:
    insert(agent(), chat(1, [QUESTION], ASKING), tool(2))
    now = datetime.fromtimestamp(START / SECOND, UTC).replace(year=2027)

    store.drop_expired(lambda project: Keeping(3650, 7), now)

    told, ran = span(api, 1), span(api, 2)
    assert (told.input_messages, told.output_messages, told.messages_from) == ([], [], {})
    assert ran.tool is not None
    assert (ran.tool.call_id, ran.tool.arguments, ran.tool.called_by) == ("call_1", None, None)
    assert conversation(api).turns == []


def test_a_trace_of_records_alone_has_an_empty_conversation(api: TestClient, store: Store) -> None:
    store.insert(logs_batch_of(logs_request(log_record("alone"))))

    assert conversation(api).turns == []


@pytest.mark.usefixtures("shop")
def test_ids_are_read_as_everywhere(api: TestClient) -> None:
    assert api.get(f"/api/v1/traces/{TRACE.upper()}/spans/1").json()["span_id"] == span_id(1).hex()


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"{PATH}/spans/{span_id(99).hex()}", 404, f"no span {span_id(99).hex()} of trace {TRACE} is stored"),
        (f"{PATH}/spans/xyz", 400, "not a span id"),
        (f"{PATH}/spans/{'1' * 17}", 400, "not a span id"),
        (f"/api/v1/traces/xyz/spans/{'1' * 16}", 400, "not a run id"),
        (f"/api/v1/traces/{'f' * 32}/messages", 404, "no run or trace"),
        ("/api/v1/traces/xyz/messages", 400, "not a run id"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_what_is_not_there_is_told(api: TestClient, path: str, status: int, said: str) -> None:
    answer = api.get(path)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in Problem.model_validate_json(answer.content).detail


def test_the_api_describes_both_with_examples(api: TestClient) -> None:
    described = api.get("/openapi.json").json()

    assert {"/api/v1/traces/{trace_id}/messages", "/api/v1/traces/{trace_id}/spans/{span_id}"} <= set(
        described["paths"]
    )
    assert described["components"]["schemas"]["MessageView"]["examples"][0]["role"] == "assistant"


def test_a_long_conversation_is_told_whole(api: TestClient, insert: Insert) -> None:
    turns = [{"role": role, "content": f"{role} {number}"} for number in range(70) for role in ("user", "assistant")]
    insert(agent(), *(chat(n + 1, turns[: 2 * n + 1], turns[2 * n + 1]) for n in range(70)))

    told = conversation(api).turns

    assert [contents(turn.new_messages) for turn in told] == [[f"user {number}"] for number in range(70)]
    assert told[69].seen_count == 138
