"""What each dialect's messages look like, and that they all come out the same."""

import json
from typing import Any

import pytest

from backtrail_query.messages.parts import Message
from backtrail_query.messages.recognition import Direction, read_messages

PIXEL = "iVBORw0KGgo="
PNG = f"data:image/png;base64,{PIXEL}"


def said(value: object, direction: Direction = "input") -> list[dict[str, Any]]:
    return [message.as_json() for message in read_messages(json.dumps(value), direction)]


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


def call(id_: str | None = "call_1", arguments: object = None) -> dict[str, Any]:
    return {"type": "tool_call", "id": id_, "name": "search", "arguments": arguments or {"q": "lamp"}}


def result(response: object, id_: str | None = "call_1", **more: object) -> dict[str, Any]:
    return {"type": "tool_call_response", "id": id_, "response": response, **more}


def message(role: str, *parts: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"role": role, "parts": list(parts), **more}


FOUND = {"hits": ["desk lamp"]}
ARGUMENTS = '{"q": "lamp"}'
# One conversation: who is spoken to, a question, a call, its result, the answer.
CONVERSATION = [
    message("system", text("be brief")),
    message("user", text("a lamp?")),
    message("assistant", text("I look."), call()),
    message("tool", result(FOUND)),
    message("assistant", text("A desk lamp.")),
]
NAMED = [*CONVERSATION[:3], message("tool", result(FOUND, name="search")), CONVERSATION[4]]
WITHOUT_IDS = [
    *CONVERSATION[:2],
    message("assistant", text("I look."), call(None)),
    message("tool", result(FOUND, None, name="search")),
    CONVERSATION[4],
]

OPENAI = [
    {"role": "developer", "content": "be brief"},
    {"role": "user", "content": [{"type": "text", "text": "a lamp?"}]},
    {
        "role": "assistant",
        "content": "I look.",
        "refusal": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "search", "arguments": ARGUMENTS}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": json.dumps(FOUND)},
    {"role": "assistant", "content": "A desk lamp.", "tool_calls": None},
]
RESPONSES = [
    {"role": "developer", "content": [{"type": "input_text", "text": "be brief"}]},
    {"type": "message", "role": "user", "content": "a lamp?"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
    {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "search", "arguments": ARGUMENTS},
    {"type": "function_call_output", "call_id": "call_1", "output": json.dumps(FOUND)},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "A desk lamp."}]},
]
ANTHROPIC: dict[str, Any] = {
    "model": "claude",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "a lamp?"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "call_1", "name": "search", "input": {"q": "lamp"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "call_1",
                    "content": [{"type": "text", "text": json.dumps(FOUND)}],
                }
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "A desk lamp."}]},
    ],
}
BEDROCK: dict[str, Any] = {
    "system": [{"text": "be brief"}],
    "messages": [
        {"role": "user", "content": [{"text": "a lamp?"}]},
        {
            "role": "assistant",
            "content": [
                {"text": "I look."},
                {"toolUse": {"toolUseId": "call_1", "name": "search", "input": {"q": "lamp"}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "call_1", "content": [{"json": FOUND}], "status": "success"}},
            ],
        },
        {"role": "assistant", "content": [{"text": "A desk lamp."}]},
    ],
}
GEMINI: dict[str, Any] = {
    "contents": [
        {"role": "user", "parts": [{"text": "a lamp?"}]},
        {"role": "model", "parts": [{"text": "I look."}, {"functionCall": {"name": "search", "args": {"q": "lamp"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "search", "response": FOUND}}]},
        {"role": "model", "parts": [{"text": "A desk lamp."}]},
    ],
    "systemInstruction": {"parts": [{"text": "be brief"}]},
}
ADK: dict[str, Any] = {
    "model": "gemini",
    "config": {"system_instruction": "be brief", "tools": []},
    "contents": [
        {"role": "user", "parts": [{"text": "a lamp?"}]},
        {"role": "model", "parts": [{"text": "I look."}, {"function_call": {"name": "search", "args": {"q": "lamp"}}}]},
        {"role": "user", "parts": [{"function_response": {"name": "search", "response": FOUND}}]},
        {"role": "model", "parts": [{"text": "A desk lamp."}]},
    ],
}


def langchain(kind: str, **fields: object) -> dict[str, Any]:
    path = ["langchain", "schema", "messages", kind]
    return {"lc": 1, "type": "constructor", "id": path, "kwargs": {**fields, "additional_kwargs": {}}}


CALLED = {"name": "search", "args": {"q": "lamp"}, "id": "call_1", "type": "tool_call"}
LANGCHAIN_DUMPED = [
    [
        langchain("SystemMessage", content="be brief"),
        langchain("HumanMessage", content="a lamp?"),
        langchain("AIMessage", content="I look.", tool_calls=[CALLED], invalid_tool_calls=[]),
        langchain("ToolMessage", content=json.dumps(FOUND), tool_call_id="call_1"),
        langchain("AIMessageChunk", content="A desk lamp.", tool_calls=[]),
    ]
]
LANGCHAIN_DICTS = [
    {"type": "system", "data": {"content": "be brief", "type": "system"}},
    {"type": "human", "data": {"content": "a lamp?", "type": "human", "additional_kwargs": {}}},
    {"type": "ai", "data": {"content": "I look.", "tool_calls": [CALLED]}},
    {"type": "tool", "data": {"content": json.dumps(FOUND), "tool_call_id": "call_1"}},
    {"type": "ai", "data": {"content": "A desk lamp.", "tool_calls": []}},
]
LANGGRAPH = {
    "messages": [
        {"type": "system", "content": "be brief"},
        {"type": "human", "content": "a lamp?", "id": "7"},
        {
            "type": "ai",
            "content": [{"type": "text", "text": "I look."}, {"type": "tool_use", "id": "call_1", "name": "search"}],
            "tool_calls": [CALLED],
        },
        {"type": "tool", "content": json.dumps(FOUND), "tool_call_id": "call_1", "status": "success"},
        {"type": "ai", "content": "A desk lamp."},
    ]
}
VERCEL = {
    "system": "be brief",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a lamp?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool-call", "toolCallId": "call_1", "toolName": "search", "args": ARGUMENTS},
            ],
        },
        {
            "role": "tool",
            "content": [
                {
                    "type": "tool-result",
                    "toolCallId": "call_1",
                    "toolName": "search",
                    "output": {"type": "json", "value": FOUND},
                }
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "A desk lamp."}]},
    ],
}
GENKIT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": [{"text": "be brief"}]},
        {"role": "user", "content": [{"text": "a lamp?"}]},
        {
            "role": "model",
            "content": [
                {"text": "I look."},
                {"toolRequest": {"name": "search", "ref": "call_1", "input": {"q": "lamp"}}},
            ],
        },
        {"role": "tool", "content": [{"toolResponse": {"name": "search", "ref": "call_1", "output": FOUND}}]},
        {"role": "model", "content": [{"text": "A desk lamp."}]},
    ],
    "tools": [],
}
PYDANTIC_AI = [
    {
        "kind": "request",
        "parts": [
            {"part_kind": "system-prompt", "content": "be brief"},
            {"part_kind": "user-prompt", "content": "a lamp?"},
        ],
    },
    {
        "kind": "response",
        "parts": [
            {"part_kind": "text", "content": "I look."},
            {"part_kind": "tool-call", "tool_name": "search", "tool_call_id": "call_1", "args": ARGUMENTS},
        ],
    },
    {
        "kind": "request",
        "parts": [
            {"part_kind": "tool-return", "tool_name": "search", "tool_call_id": "call_1", "content": FOUND},
        ],
    },
    {"kind": "response", "parts": [{"part_kind": "text", "content": "A desk lamp."}]},
]
PYDANTIC_AI_EVENTS = [
    {"event.name": "gen_ai.system.message", "content": "be brief", "gen_ai.message.index": 0},
    {"event.name": "gen_ai.user.message", "content": "a lamp?", "role": "user"},
    {
        "event.name": "gen_ai.assistant.message",
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "search", "arguments": ARGUMENTS}}],
    },
    {"event.name": "gen_ai.tool.message", "id": "call_1", "role": "tool", "content": FOUND, "name": "search"},
    {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "content": "A desk lamp."}},
]
OTEL = [
    {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
    {"role": "user", "parts": [{"type": "text", "content": "a lamp?"}]},
    {
        "role": "assistant",
        "parts": [
            {"type": "text", "content": "I look."},
            {"type": "tool_call", "id": "call_1", "name": "search", "arguments": ARGUMENTS},
        ],
    },
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "result": FOUND}]},
    {"role": "assistant", "parts": [{"type": "text", "content": "A desk lamp."}]},
]
LIVEKIT = {
    "items": [
        {"type": "message", "role": "system", "content": ["be brief"]},
        {"type": "message", "role": "user", "content": ["a lamp?"]},
        {"type": "message", "role": "assistant", "content": ["I look."]},
        {"type": "function_call", "id": "i", "call_id": "call_1", "name": "search", "arguments": ARGUMENTS},
        {"type": "function_call_output", "call_id": "call_1", "output": json.dumps(FOUND), "name": "search"},
        {"type": "message", "role": "assistant", "content": ["A desk lamp."]},
    ]
}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        pytest.param(OTEL, CONVERSATION, id="otel"),
        pytest.param(OPENAI, CONVERSATION, id="openai"),
        pytest.param({"model": "gpt", "messages": OPENAI}, CONVERSATION, id="openai request"),
        pytest.param({"kwargs": {"messages": OPENAI}}, CONVERSATION, id="openai request of a tracing decorator"),
        pytest.param(RESPONSES, CONVERSATION, id="responses"),
        pytest.param({"model": "gpt", "instructions": "be brief", "input": RESPONSES[1:]}, CONVERSATION, id="request"),
        pytest.param(ANTHROPIC, CONVERSATION, id="anthropic"),
        pytest.param(BEDROCK, CONVERSATION, id="bedrock"),
        pytest.param(GEMINI, WITHOUT_IDS, id="gemini"),
        pytest.param(ADK, WITHOUT_IDS, id="adk"),
        pytest.param(LANGCHAIN_DUMPED, CONVERSATION, id="langchain dumped"),
        pytest.param({"inputs": {"messages": LANGCHAIN_DUMPED[0]}, "tags": []}, CONVERSATION, id="traceloop"),
        pytest.param(LANGCHAIN_DICTS, CONVERSATION, id="langchain dicts"),
        pytest.param(LANGGRAPH, CONVERSATION, id="langgraph"),
        pytest.param(VERCEL, NAMED, id="vercel"),
        pytest.param(GENKIT, NAMED, id="genkit"),
        pytest.param(PYDANTIC_AI, NAMED, id="pydantic ai"),
        pytest.param(PYDANTIC_AI_EVENTS, NAMED, id="pydantic ai events"),
        pytest.param(LIVEKIT, NAMED, id="livekit"),
    ],
)
def test_one_conversation_comes_out_the_same_whoever_wrote_it(given: Any, wanted: list[dict[str, Any]]) -> None:
    assert said(given) == wanted


ASKING = message("assistant", text("I look."), call(), finish_reason="tool_call")
ENDED = message("assistant", text("A desk lamp."), finish_reason="stop")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        pytest.param({"choices": [{"message": OPENAI[2], "finish_reason": "tool_calls"}]}, ASKING, id="openai"),
        pytest.param(
            {
                "role": "assistant",
                "content": ANTHROPIC["messages"][1]["content"],
                "stop_reason": "tool_use",
                "type": "message",
                "id": "m",
            },
            ASKING,
            id="anthropic",
        ),
        pytest.param({"output": {"message": BEDROCK["messages"][1]}, "stopReason": "tool_use"}, ASKING, id="bedrock"),
        pytest.param({"candidates": [{"content": GEMINI["contents"][3], "finishReason": "STOP"}]}, ENDED, id="gemini"),
        pytest.param({"content": ADK["contents"][3], "finish_reason": "STOP"}, ENDED, id="adk"),
        pytest.param({"message": GENKIT["messages"][4], "finishReason": "stop"}, ENDED, id="genkit"),
        pytest.param(
            {
                "generations": [
                    [
                        {
                            "text": "A desk lamp.",
                            "generation_info": {"finish_reason": "stop"},
                            "message": LANGCHAIN_DUMPED[0][4],
                        }
                    ]
                ]
            },
            ENDED,
            id="langchain",
        ),
        pytest.param(
            langchain("AIMessage", content="A desk lamp.", response_metadata={"finish_reason": "stop"}),
            ENDED,
            id="langchain message",
        ),
        pytest.param({"choices": [{"text": "A desk lamp.", "finish_reason": "stop"}]}, ENDED, id="openai completion"),
        pytest.param({"model": "llama", "message": OPENAI[4], "done_reason": "stop", "done": True}, ENDED, id="ollama"),
        pytest.param([{"role": "assistant", "parts": OTEL[4]["parts"], "finish_reason": "stop"}], ENDED, id="otel"),
    ],
)
def test_an_answer_comes_out_the_same_whoever_wrote_it(given: Any, wanted: dict[str, Any]) -> None:
    assert said(given, "output") == [wanted]


def test_a_response_of_openai_is_one_message() -> None:
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "x"},
        {"type": "web_search_call", "id": "ws_1", "action": {"query": "lamp"}, "status": "completed"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "A lamp."}]},
    ]

    [answer] = said({"id": "resp_1", "output": output, "status": "completed", "model": "gpt"}, "output")

    assert answer["parts"] == [
        {"type": "reasoning", "content": "hm"},
        {"type": "tool_call", "id": "ws_1", "name": "web_search", "arguments": {"query": "lamp"}},
        text("A lamp."),
    ]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "reasoning", "content": "hm"},
        {"type": "reasoning", "text": "hm"},
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "reasoning", "summary": [{"text": "hm"}]},
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"text": "hm", "thought": True},
        {"reasoning": "hm"},
    ],
)
def test_what_a_model_thought_is_reasoning(block: dict[str, Any]) -> None:
    assert said([{"role": "assistant", "content": [block, {"type": "text", "text": "x"}]}], "output") == [
        message("assistant", {"type": "reasoning", "content": "hm"}, text("x"))
    ]


def test_what_a_provider_hides_is_reasoning_without_words() -> None:
    [answer] = said([{"role": "assistant", "content": [{"type": "redacted_thinking", "data": "abc"}]}], "output")

    assert answer["parts"] == [{"type": "reasoning", "content": "", "redacted": True}]


BLOB = {"type": "blob", "modality": "image", "mime_type": "image/png", "size": 8}


@pytest.mark.parametrize(
    ("block", "wanted"),
    [
        ({"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}, BLOB),
        ({"type": "input_image", "image_url": PNG}, BLOB),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}, BLOB),
        ({"type": "image", "image": PIXEL, "mediaType": "image/png"}, BLOB),
        ({"type": "image", "source_type": "base64", "data": PIXEL, "mime_type": "image/png"}, BLOB),
        ({"type": "image", "image": {"image": {"url": PNG}}}, BLOB),
        ({"inlineData": {"mimeType": "image/png", "data": PIXEL}}, BLOB),
        ({"inline_data": {"mime_type": "image/png", "data": PIXEL}}, BLOB),
        ({"image": {"format": "png", "source": {"bytes": PIXEL}}}, BLOB),
        ({"media": {"url": PNG, "contentType": "image/png"}}, BLOB),
        ({"type": "blob", "modality": "image", "mime_type": "image/png", "content": PIXEL}, BLOB),
        ({"type": "image", "image": {"type": "Buffer", "data": [1] * 8}, "mediaType": "image/png"}, BLOB),
        ({"type": "binary", "media_type": "image/png", "content": PIXEL}, BLOB),
        (
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            {"type": "uri", "modality": "image", "uri": "https://x.example/a.png"},
        ),
        (
            {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://x/a"}},
            {"type": "uri", "modality": "video", "mime_type": "video/mp4", "uri": "gs://x/a"},
        ),
        (
            {"type": "image", "image": "https://x.example/a.png"},
            {"type": "uri", "modality": "image", "uri": "https://x.example/a.png"},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}},
            {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "size": 8},
        ),
        (
            {"type": "file", "file": {"file_id": "file-1", "filename": "a.pdf"}},
            {"type": "file", "modality": "file", "file_id": "file-1", "name": "a.pdf"},
        ),
        ({"type": "input_file", "file_id": "file-1"}, {"type": "file", "modality": "file", "file_id": "file-1"}),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PIXEL}},
            {"type": "blob", "modality": "file", "mime_type": "application/pdf", "size": 8},
        ),
        ({"type": "document", "source": {"type": "text", "data": "plain words"}}, text("plain words")),
        (
            {"type": "file", "modality": "image", "file_id": "file-1"},
            {"type": "file", "modality": "image", "file_id": "file-1"},
        ),
    ],
)
def test_images_and_files_are_told_by_reference(block: dict[str, Any], wanted: dict[str, Any]) -> None:
    [question] = read_messages(json.dumps([{"role": "user", "content": [block]}]), "input")

    assert [{key: value for key, value in part.items() if key != "reference"} for part in question.parts] == [wanted]


def test_images_in_a_tools_result_are_told_by_reference_too() -> None:
    block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    content = [{"type": "text", "text": "here"}, block]
    results = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": content}]}]

    [answer] = read_messages(json.dumps(results), "input")

    assert [part["type"] for part in answer.parts[0]["response"]] == ["text", "blob"]


def test_results_and_words_in_one_message_of_the_user_are_set_apart() -> None:
    content = [
        {"type": "tool_result", "tool_use_id": "1", "content": "no", "is_error": True},
        {"type": "text", "text": "go on"},
    ]

    assert said([{"role": "user", "content": content}]) == [
        message("tool", result("no", "1", is_error=True)),
        message("user", text("go on")),
    ]


def test_a_call_and_its_result_in_one_part_are_two() -> None:
    invocation = {"state": "result", "toolCallId": "call_1", "toolName": "search", "args": {"q": "lamp"}, "result": 1}
    parts = [
        {"type": "tool-invocation", "toolInvocation": invocation},
        {"type": "tool-search", "toolCallId": "c2", "state": "output-available", "input": {"q": "lamp"}, "output": 2},
    ]

    assert said([{"role": "assistant", "parts": parts}], "output") == [
        message("assistant", call(), result(1, name="search"), call("c2"), result(2, "c2", name="search"))
    ]


def test_an_old_function_call_a_refusal_and_a_part_unknown_are_kept() -> None:
    old = {"role": "assistant", "content": None, "function_call": {"name": "search", "arguments": ARGUMENTS}}
    refused = {"role": "assistant", "content": None, "refusal": "no"}
    strange = {"role": "user", "content": [{"type": "hologram", "depth": 3}]}
    answered = {"role": "function", "name": "search", "content": "x"}

    assert said([old, refused, strange, answered]) == [
        message("assistant", call(None)),
        message("assistant", {"type": "refusal", "content": "no"}),
        message("user", {"type": "hologram", "depth": 3}),
        message("tool", result("x", None, name="search")),
    ]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("hello", "hello"),
        ('"hello"', "hello"),
        ('{"question": "a lamp?"}', "a lamp?"),
        ('{"a": [1, 2]}', '{"a": [1, 2]}'),
        ("[1, 2]", "[1, 2]"),
        ("{broken", "{broken"),
        ('["a", "b"]', '["a", "b"]'),
        ('{"input": "x", "other": "y"}', '{"input": "x", "other": "y"}'),
        ("[" * 10_000 + "]" * 10_000, "[" * 10_000 + "]" * 10_000),
    ],
)
def test_what_is_no_message_is_one_with_its_text(given: str, shown: str) -> None:
    assert read_messages(given, "input") == [Message("user", [text(shown)])]


@pytest.mark.parametrize("nothing", ["", "{}", "[]", "null", "N/A", "<not specified>", "<REDACTED>", None])
def test_what_says_nothing_is_no_message(nothing: str | None) -> None:
    assert read_messages(nothing, "input") == []


def test_arguments_too_deep_for_any_reader_stay_text() -> None:
    deep: object = 1
    for _ in range(100):
        deep = [deep]
    arguments = json.dumps({"deep": deep}, separators=(",", ":"))
    calls = [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": arguments}}]}]

    [answer] = said(calls, "output")

    assert answer["parts"][0]["arguments"] == arguments


def test_a_call_without_a_message_is_the_models() -> None:
    assert said([CALLED]) == [message("assistant", call())]
    assert said({"input": [{"type": "tool_result", "tool_use_id": "1", "content": "x"}]}) == [
        message("tool", result("x", "1"))
    ]


def test_that_a_response_is_completed_is_no_reason() -> None:
    answer = {"role": "assistant", "content": "x", "finish_reason": "completed"}

    assert said([answer], "output") == [message("assistant", text("x"))]
