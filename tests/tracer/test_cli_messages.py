"""What people see of a conversation at a terminal, and programs through the client, against a real server."""

import json
from collections.abc import Iterator

import httpx
import pytest

from backtrail import Client, cli
from backtrail.errors import ApiError
from tests.factories import ROOT_ID, SECOND, START, TRACE_ID, Attributes, otlp_request, plain_span, span_id
from tests.serving import running_server
from tests.waiting import until

TRACE = TRACE_ID.hex()
PNG = "data:image/png;base64,iVBORw0KGgo="
CALL = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"q": "lämp", "n": 2}'}}
QUESTION = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": [{"type": "text", "text": "a lamp\x1b[31m?"}, {"type": "image_url", "image_url": PNG}]},
]
ASKING = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}], "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": '{"hits": ["desk lamp"]}'}
LONG = "\n".join(f"line {number}" for number in range(45))


def chat(number: int, given: object, answered: object, reason: str) -> Attributes:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.agent.name": "shop",
        "gen_ai.input.messages": json.dumps(given),
        "gen_ai.output.messages": json.dumps([answered]),
        "gen_ai.response.finish_reasons": [reason],
    }


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    first = chat(1, QUESTION, ASKING, "tool_calls")
    second = chat(3, [*QUESTION, ASKING, RESULT], {"role": "assistant", "content": LONG}, "length")
    ran = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search", "gen_ai.tool.call.id": "c1"}
    spans = [
        plain_span(name, id_=span_id(n), parent_id=ROOT_ID, start=START + n, duration=SECOND, attributes=attributes)
        for n, name, attributes in (
            (1, "chat gpt-4o", first),
            (2, "execute_tool search", ran),
            (3, "chat gpt-4o", second),
        )
    ]
    body = otlp_request(plain_span("shop"), *spans).SerializeToString()
    with running_server(tmp_path_factory.mktemp("data")) as server:
        headers = {"content-type": "application/x-protobuf"}
        httpx.post(f"{server.url}/v1/traces", content=body, headers=headers).raise_for_status()
        until(lambda: httpx.get(f"{server.url}/api/v1/traces/{TRACE}/spans/3").is_success)
        yield server.url


def show(endpoint: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["show", TRACE[:8], "--messages", "--endpoint", endpoint, *arguments]) == 0
    return capsys.readouterr().out


def test_a_conversation_is_shown_as_it_went(
    endpoint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    lines = [line.rstrip() for line in show(endpoint, capsys).splitlines()]

    assert lines[:18] == [
        "── chat gpt-4o  shop · 1.0 s",
        "system",
        "  be brief",
        "user",
        "  a lamp�[31m?",
        "  [image · image/png · 8 bytes]",
        "assistant",
        "  hm",
        '  ⚙ search(q="lämp", n=2)',
        "",
        "── chat gpt-4o  shop · 1.0 s · 3 messages told before",
        "tool",
        '  → {"hits": ["desk lamp"]}',
        "assistant  ended by length",
        "  line 0",
        "  line 1",
        "  line 2",
        "  line 3",
    ]
    assert lines[-1] == "  … and 5 more lines"


def test_programs_get_the_conversation_as_json(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    turns = json.loads(show(endpoint, capsys, "--json"))["turns"]

    [thought, call] = turns[0]["output_messages"][0]["parts"]
    assert thought == {"type": "reasoning", "content": "hm"}
    assert call == {
        "type": "tool_call",
        "id": "c1",
        "name": "search",
        "arguments": {"q": "lämp", "n": 2},
        "has_result": True,
        "tool_span_id": span_id(2).hex(),
    }


def test_the_client_tells_one_span_with_its_messages(endpoint: str) -> None:
    with Client(endpoint) as client:
        ran = client.span(TRACE, span_id(2).hex())
        asked = client.span(TRACE, span_id(1).hex())
        [first, _] = client.messages(TRACE).turns

    assert ran.tool is not None
    assert (ran.tool.name, ran.tool.called_by) == ("search", span_id(1).hex())
    assert asked.messages_from["input_messages"]["name"] == "gen_ai.input.messages"
    assert [message.role for message in first.new_messages] == ["system", "user"]
    assert asked.input_messages[1].parts[1].get("reference") == {
        "source": "attribute",
        "name": "gen_ai.input.messages",
        "pointer": "/1/content/1/image_url",
    }


def test_a_span_that_is_not_there_is_told(endpoint: str) -> None:
    with Client(endpoint) as client, pytest.raises(ApiError, match="no span 0000000000000063 of trace"):
        client.span(TRACE, span_id(99).hex())
