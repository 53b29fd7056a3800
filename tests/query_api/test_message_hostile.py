"""Whatever an attribute holds, reading a span neither fails nor takes memory by a number in it."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from backtrail_query.messages.blocks import TYPED
from backtrail_query.messages.carrier import Carrier, Happening
from backtrail_query.messages.families import MOST_ENTRIES, read_family
from backtrail_query.messages.pairing import pair_calls
from backtrail_query.messages.parts import is_deeper
from backtrail_query.messages.reading import read_carrier
from backtrail_query.messages.table import Source, table
from backtrail_query.views import json_response

WORDS = sorted(
    {
        "role",
        "content",
        "parts",
        "type",
        "text",
        "tool_calls",
        "function",
        "arguments",
        "id",
        "name",
        "message",
        "kwargs",
    }
    | {
        "messages",
        "contents",
        "choices",
        "candidates",
        "generations",
        "input",
        "output",
        "system",
        "config",
        "lc",
        "data",
    }
    | {"toolCallId", "image", "image_url", "url", "source", "inlineData", "tool_use", "tool_result", "thinking", "file"}
    | {"finish_reason", "function_call", "event.name", "gen_ai.choice", "kind", "request", "part_kind", "user", "human"}
    | {"assistant", "tool", "ai", "summary", "reasoning", "tool_call", "document", "blob", "refusal", "audio", "format"}
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(WORDS)


def _blocks(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Of a type that is known, and with members that it may not have."""
    members = st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    return st.builds(lambda kind, said: {"type": kind, **said}, st.sampled_from(sorted(TYPED)), members)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    maps = st.dictionaries(st.sampled_from(WORDS), inner, max_size=6)
    return st.lists(inner, max_size=4) | maps | _blocks(inner)


VALUES = st.recursive(SCALARS, _nested, max_leaves=25)
TEXTS = VALUES.map(json.dumps) | st.text(max_size=20) | st.sampled_from(("[" * 10_000, '{"role":' * 10_000))
SOURCES = [source for field in table().fields.values() for source in field.sources]
KINDS = ("", "llm", "tool", "agent", "retriever", "reranker", "embedding")


@st.composite
def carriers(draw: st.DrawFn) -> Carrier:
    attributes: dict[str, Any] = {}
    happenings = []
    for source in draw(st.lists(st.sampled_from(SOURCES), min_size=1, max_size=4)):
        value = draw(VALUES | TEXTS)
        match source.place:
            case "attribute":
                attributes[source.name] = value
            case "event":
                said = (
                    {source.member: value} if source.member else draw(st.dictionaries(st.sampled_from(WORDS), VALUES))
                )
                body, is_log = draw(st.none() | VALUES), draw(st.booleans())
                happenings.append(Happening(source.name, 0, said, body, is_log))
            case _:
                attributes[f"{source.name}.{draw(_paths())}"] = value
    return Carrier(
        attributes, happenings, draw(st.sampled_from(("", "logfire", "claude_code"))), draw(st.sampled_from(KINDS))
    )


DEEP: Any = 1
for _ in range(150):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.input.messages": [{"role": "user", "content": [{"type": "hologram", "depth": DEEP}]}]},
        {"gen_ai.input.messages": [{"role": "user", "parts": [{"type": "blob"}, {"type": "uri"}, {"type": "image"}]}]},
        {"gen_ai.input.messages": [{"role": "tool", "content": [{"type": "blob", "size": 3}]}]},
        {"gen_ai.output.messages": [{"role": "assistant", "tool_calls": [{"name": "f", "arguments": DEEP}]}]},
        {"gen_ai.output.messages": {"messages": DEEP}},
        {"gen_ai.tool.definitions": [{"name": "f", "parameters": DEEP}]},
        {"gen_ai.tool.call.arguments": DEEP, "gen_ai.tool.call.result": DEEP},
        {"retrieval.documents.0.document.content": DEEP, "retrieval.documents.0.document.metadata": DEEP},
    ],
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("as_text", [True, False])
def test_an_answer_is_never_deeper_than_its_readers_go(attributes: dict[str, Any], kind: str, as_text: bool) -> None:
    given = {key: json.dumps(value) if as_text else value for key, value in attributes.items()}

    said = read_carrier(Carrier(given, [], "", kind))
    pair_calls(said.messages, {})

    answer = {
        "messages": [message.as_json() for message in said.messages],
        "values": [said.tool_arguments, said.tool_result, said.tool_definitions, said.retrieval_documents],
    }
    assert not is_deeper(from_json(bytes(json_response(answer).body)), 80)


def _paths() -> st.SearchStrategy[str]:
    steps = st.sampled_from(WORDS) | st.integers(0, 10**20).map(str)
    return st.lists(steps, min_size=1, max_size=20).map(".".join)


@settings(max_examples=400, deadline=None)
@given(carriers())
def test_no_content_of_attributes_events_or_records_makes_it_raise(carrier: Carrier) -> None:
    said = read_carrier(carrier)
    pair_calls(said.messages, {})

    answer = json_response([message.as_json() for message in said.messages])

    for message in json.loads(bytes(answer.body)):
        assert isinstance(message["role"], str)
        assert all(isinstance(part["type"], str) for part in message["parts"])


@pytest.mark.parametrize(
    "source", [source for source in SOURCES if source.place == "family"], ids=lambda each: each.name
)
def test_a_huge_number_is_one_entry(source: Source) -> None:
    attributes = {f"{source.name}.999999999.message.role": "user", f"{source.name}.{10**18 - 1}.content": "x"}
    attributes |= {f"{source.name}.7.tool_calls.888888888.name": "search"}
    tracemalloc.start()

    family = read_family(attributes, source.name)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(family.entries) == 3
    assert family.entries[0] == {"tool_calls": [{"name": "search"}]}
    assert peak < 100_000


def test_of_very_many_entries_the_first_are_read_and_the_others_counted() -> None:
    attributes = {f"gen_ai.prompt.{number}.content": str(number) for number in reversed(range(MOST_ENTRIES + 5))}

    said = read_carrier(Carrier(attributes, [], "", "llm"))

    assert len(said.input_messages) == MOST_ENTRIES
    assert said.input_messages[-1].parts[0]["content"] == str(MOST_ENTRIES - 1)
    assert said.dropped == 5


def test_names_that_hold_a_value_and_others_below_it_are_read() -> None:
    attributes = {"gen_ai.prompt.0": "a", "gen_ai.prompt.1.content": "b", "gen_ai.prompt.1.content.x": "c"}
    attributes |= {
        f"gen_ai.prompt.2.{'a.' * 5000}b": "deep",
        "gen_ai.prompt.x.content": "none",
        "gen_ai.prompt.-1.content": "",
    }

    assert len(read_family(attributes, "gen_ai.prompt").entries) == 3
    assert read_carrier(Carrier(attributes, [], "", "llm")).input_messages[0].parts == [
        {"type": "text", "content": "a"}
    ]


def test_bytes_lie_where_a_blob_says() -> None:
    data = "data:image/png;base64,iVBORw0KGgo="
    image = {
        "role": "user",
        "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": data}}],
    }
    family = {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.type": "image",
        "llm.input_messages.0.message.contents.0.message_content.image.image.url": data,
    }

    def references(carrier: Carrier) -> list[Any]:
        return [
            part["reference"]
            for each in read_carrier(carrier).messages
            for part in each.parts
            if part["type"] == "blob"
        ]

    attribute = {"source": "attribute", "name": "gen_ai.input.messages", "pointer": "/0/content/1/image_url/url"}
    member = {"source": "attribute", "name": [*family][2], "pointer": ""}
    event = {"source": "log", "name": "gen_ai.user.message", "pointer": "/body/content/1/image_url/url"}
    assert references(Carrier({"gen_ai.input.messages": json.dumps([image])}, [], "", "llm")) == [attribute]
    assert references(Carrier(family, [], "", "llm")) == [member]
    assert references(Carrier({}, [Happening("gen_ai.user.message", 0, {}, image, is_log=True)], "", "llm")) == [event]
