"""Tools, answers, documents and texts of every dialect, beside messages: one shape for each."""

import json
from typing import Any

import pytest

from backtrail_query.messages.carrier import Carrier
from backtrail_query.messages.reading import SpanMessages, read_carrier

SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}
SEARCH = {"type": "function", "name": "search", "description": "finds", "parameters": SCHEMA}
FLAT = {"name": "search", "description": "finds"}


def read(attributes: dict[str, Any], step_kind: str = "llm") -> SpanMessages:
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in attributes.items()}
    return read_carrier(Carrier(texts, [], "logfire", step_kind))


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.tool.definitions": [SEARCH]},
        {"gen_ai.tool.definitions": [{"type": "function", "function": {**FLAT, "parameters": SCHEMA}}]},
        {"gen_ai.tool.definitions": [{**FLAT, "type": "custom", "input_schema": SCHEMA}]},
        {"gen_ai.tool.definitions": [{"functionDeclarations": [{**FLAT, "parameters": SCHEMA}]}]},
        {"gen_ai.tool.definitions": {"tools": [{"toolSpec": {**FLAT, "inputSchema": {"json": SCHEMA}}}]}},
        {"ai.prompt.tools": [json.dumps({**FLAT, "type": "function", "inputSchema": SCHEMA})]},
        {"llm.tools.0.tool.json_schema": {**FLAT, "input_schema": SCHEMA}},
        {
            "llm.request.functions.0.name": "search",
            "llm.request.functions.0.description": "finds",
            "llm.request.functions.0.parameters": SCHEMA,
        },
        {"mlflow.chat.tools": [{"type": "function", "function": {**FLAT, "parameters": SCHEMA}}]},
        {
            "model_request_parameters": {
                "function_tools": [{**FLAT, "parameters_json_schema": SCHEMA}],
                "output_mode": "text",
                "output_tools": [],
            }
        },
        {
            "gcp.vertex.agent.llm_request": {
                "config": {"tools": [{"function_declarations": [{**FLAT, "parameters": SCHEMA}]}]},
                "contents": [],
            }
        },
        {"genkit:input": {"messages": [], "tools": [{**FLAT, "inputSchema": SCHEMA}]}},
    ],
    ids=lambda attributes: str(next(iter(attributes))),
)
def test_a_tools_definition_comes_out_the_same_whoever_wrote_it(attributes: dict[str, Any]) -> None:
    assert read(attributes).tool_definitions == [SEARCH]


def test_a_providers_own_tool_has_its_type_for_a_name() -> None:
    [tool] = read({"gen_ai.tool.definitions": [{"type": "web_search"}]}).tool_definitions

    assert tool == {"type": "web_search", "name": "web_search", "description": None, "parameters": None}


def test_vercels_answer_is_one_message_of_many_attributes() -> None:
    calls = [{"toolCallType": "function", "toolCallId": "c1", "toolName": "search", "args": '{"q": "lamp"}'}]
    attributes = {
        "ai.response.text": "",
        "ai.response.reasoning": "hm",
        "ai.response.toolCalls": calls,
        "ai.response.finishReason": "tool-calls",
        "ai.response.id": "r1",
    }

    [answer] = read(attributes).output_messages

    assert answer.finish_reason == "tool_call"
    assert answer.parts == [
        {"type": "reasoning", "content": "hm"},
        {"type": "tool_call", "id": "c1", "name": "search", "arguments": {"q": "lamp"}},
    ]


def test_vercels_object_is_shown_as_json_and_an_answer_of_nothing_is_none() -> None:
    assert read({"ai.response.object": '{"a":1}'}).output_messages[0].parts == [{"type": "text", "content": '{"a":1}'}]
    assert read({"ai.response.id": "r1", "ai.response.text": ""}).output_messages == []


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ('{"q": "lamp"}', {"q": "lamp"}),
        ('"lamp"', "lamp"),
        ("42", "42"),
        ("lamp", "lamp"),
        ("{}", {}),
        ("N/A", None),
        ('{"q": "{\\"inner\\": 1}"}', {"q": '{"inner": 1}'}),
    ],
)
def test_arguments_that_are_json_are_parsed_once(said: str, known: Any) -> None:
    assert read({"gen_ai.tool.call.arguments": said}, "tool").tool_arguments == known


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.retrieval.documents": [{"id": "d", "score": 1, "content": "a lamp", "metadata": {"p": 1}}]},
        {
            "output.value": {
                "documents": [{"document": {"id": "d", "content": "a lamp", "metadata": {"p": 1}}, "score": 1}]
            }
        },
        {"output.value": [{"id": "d", "score": 1, "page_content": "a lamp", "metadata": {"p": 1}}]},
        {
            "output.value": [
                {
                    "lc": 1,
                    "id": ["Document"],
                    "score": 1,
                    "kwargs": {"id": "d", "page_content": "a lamp", "metadata": {"p": 1}},
                }
            ]
        },
        {"mlflow.spanOutputs": [{"id": "d", "score": 1, "page_content": "a lamp", "metadata": '{"p": 1}'}]},
    ],
)
def test_a_document_comes_out_the_same_whoever_found_it(attributes: dict[str, Any]) -> None:
    assert read(attributes, "retriever").retrieval_documents == [
        {"id": "d", "score": 1, "content": "a lamp", "metadata": {"p": 1}}
    ]


def test_texts_to_embed_are_listed() -> None:
    family = {"embedding.embeddings.1.embedding.text": "b", "embedding.embeddings.0.embedding.text": "a"}

    assert read(family, "embedding").embedding_input == ["a", "b"]
    assert read({"ai.values": ['"a"', '"b"']}, "embedding").embedding_input == ["a", "b"]
