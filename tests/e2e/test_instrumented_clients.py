"""Programs that know only `instrument_…()` and `@run`: their calls are steps, and a replay serves them."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import Message
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult
from openai import AsyncOpenAI, OpenAI, RateLimitError
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from pydantic import BaseModel

import backtrail
from backtrail import Client, RunContext
from tests.e2e.replaying import Log, settled
from tests.providers import Provider, running_provider

SERVER = Path(__file__).with_name("mcp_server.py")
HELLO: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def provider() -> Iterator[Provider]:
    backtrail.instrument_openai()
    backtrail.instrument_anthropic()
    with running_provider() as provider:
        yield provider
    backtrail.uninstrument_openai()
    backtrail.uninstrument_anthropic()


class Said(BaseModel):
    text: str


async def test_a_model_call_before_the_failure_is_served_and_counted_once(
    client: Client, log: Log, provider: Provider
) -> None:
    openai = AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="sk-secret")
    answers: list[ChatCompletion] = []

    @backtrail.run
    async def handle(query: str, ctx: RunContext) -> str | None:
        log.run_id = ctx.run.run_id
        answers.append(await openai.chat.completions.create(model="gpt-4o-mini", messages=HELLO))
        if log.broken:
            raise TimeoutError("the mail server does not answer")
        return answers[-1].choices[0].message.content

    async with openai:
        with pytest.raises(TimeoutError):
            await handle("hello")
        recorded = log.mended()
        await settled(client, recorded)
        result = await client.replay(recorded, handle)
        await settled(client, result.run_id)

    assert (result.value, result.hits, result.live) == ("You said: hello", 1, 0)
    assert provider.requests == ["/v1/chat/completions"]
    assert answers[0] == answers[1]
    first, second = client.run(recorded), client.run(result.run_id)
    assert (first.input_tokens, first.output_tokens, first.llm_calls) == (100, 20, 1)
    assert (second.input_tokens, second.llm_calls) == (None, 0)
    assert "sk-secret" not in str(client.trace(recorded))


async def test_every_way_to_call_openai_comes_back_as_what_it_was(client: Client, log: Log, provider: Provider) -> None:
    openai = OpenAI(base_url=f"{provider.url}/v1", api_key="sk-secret")
    chat = openai.chat.completions
    seen: list[list[Any]] = []

    @backtrail.run
    def handle(ctx: RunContext) -> None:
        log.run_id = ctx.run.run_id
        raw = chat.with_raw_response.create(model="m", messages=HELLO)
        answers = [
            raw.parse(),
            chat.parse(model="m", messages=HELLO, response_format=Said),
            openai.responses.create(model="m", input="hello"),
            openai.responses.with_raw_response.create(model="m", input="raw").parse(),
            openai.embeddings.create(model="e", input="hello"),
        ]
        seen.append([type(raw), *answers])

    with openai:
        await asyncio.to_thread(handle)
        await settled(client, log.run_id)
        asked = len(provider.requests)
        result = await client.replay(log.run_id, handle)

    assert (result.hits, result.live, len(provider.requests)) == (5, 0, asked)
    assert seen[0] == seen[1]
    raw, completion, parsed, response, _, embedding = seen[1]
    assert "APIResponse" in raw.__name__
    assert (type(completion), parsed.choices[0].message.parsed) == (ChatCompletion, Said(text="hello"))
    assert (type(response), response.output_text) == (Response, "You said: hello")
    assert (type(embedding), embedding.data[0].embedding) == (CreateEmbeddingResponse, [0.5, -1.0, 2.0])


async def test_an_error_that_was_caught_is_raised_again_as_its_own_class(
    client: Client, log: Log, provider: Provider
) -> None:
    openai = OpenAI(base_url=f"{provider.url}/v1", api_key="sk-secret", max_retries=0)
    provider.refusals = [429]

    @backtrail.run
    def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        try:
            openai.chat.completions.create(model="m", messages=HELLO)
        except RateLimitError as error:
            return f"{error.status_code} {error.code} {error}"
        return "answered"

    with openai:
        value = await asyncio.to_thread(handle)
        await settled(client, log.run_id)
        result = await client.replay(log.run_id, handle)

    assert result.value == value
    assert value.startswith("429 busy Error code: 429")
    assert provider.requests == ["/v1/chat/completions"]


async def test_anthropics_messages_are_served_to_both_clients(client: Client, log: Log, provider: Provider) -> None:
    sync, asynchronous = (
        Anthropic(base_url=provider.url, api_key="k"),
        AsyncAnthropic(base_url=provider.url, api_key="k"),
    )
    answers: list[Message] = []

    @backtrail.run
    async def handle(ctx: RunContext) -> None:
        log.run_id = ctx.run.run_id
        answers.append(await asynchronous.messages.create(model="claude", max_tokens=9, messages=HELLO))
        answers.append(sync.messages.with_raw_response.create(model="claude", max_tokens=9, messages=HELLO).parse())
        if log.broken:
            raise TimeoutError("the mail server does not answer")

    async with asynchronous:
        with sync, pytest.raises(TimeoutError):
            await handle()
        recorded = log.mended()
        await settled(client, recorded)
        result = await client.replay(recorded, handle)

    assert (result.hits, result.live, provider.requests) == (2, 0, ["/v1/messages"] * 2)
    assert answers[:2] == answers[2:]
    assert (type(answers[2]), answers[3].content[0].type) == (Message, "text")
    run = client.run(recorded)
    assert (run.input_tokens, run.output_tokens, run.llm_calls) == (200, 40, 2)


async def test_streamed_answers_are_served_as_the_clients_own_streams(
    client: Client, log: Log, provider: Provider
) -> None:
    openai = AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="k")
    anthropic = AsyncAnthropic(base_url=provider.url, api_key="k")
    seen: list[list[Any]] = []

    @backtrail.run
    async def handle(ctx: RunContext) -> None:
        log.run_id = ctx.run.run_id
        chat = await openai.chat.completions.create(
            model="m", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        said: list[Any] = [type(chat), [chunk async for chunk in chat]]
        async with openai.chat.completions.stream(
            model="s", messages=HELLO, stream_options={"include_usage": True}
        ) as helped:
            said.append([event.type async for event in helped])
            said.append((await helped.get_final_completion()).choices[0].message.content)
        async with await openai.chat.completions.create(model="early", messages=HELLO, stream=True) as early:
            said.append(await anext(early))
        said.append([event async for event in await openai.responses.create(model="m", input="hi", stream=True)])
        async with anthropic.messages.stream(model="claude", max_tokens=9, messages=HELLO) as message:
            said.append([text async for text in message.text_stream])
        seen.append(said)
        if log.broken:
            raise TimeoutError("the mail server does not answer")

    async with openai, anthropic:
        with pytest.raises(TimeoutError):
            await handle()
        recorded = log.mended()
        await settled(client, recorded)
        asked = len(provider.requests)
        result = await client.replay(recorded, handle)

    assert (result.hits, result.live, len(provider.requests)) == (5, 0, asked)
    assert seen[0] == seen[1]
    run = client.run(recorded)
    assert (run.llm_calls, run.input_tokens, run.output_tokens) == (5, 400, 80)


async def test_a_sync_stream_is_served_and_says_what_it_came_to(client: Client, log: Log, provider: Provider) -> None:
    openai, anthropic = (
        OpenAI(base_url=f"{provider.url}/v1", api_key="k"),
        Anthropic(base_url=provider.url, api_key="k"),
    )
    seen: list[list[Any]] = []

    @backtrail.run
    def handle(ctx: RunContext) -> None:
        log.run_id = ctx.run.run_id
        chat = list(openai.chat.completions.create(model="m", messages=HELLO, stream=True))
        with anthropic.messages.create(model="claude", max_tokens=9, messages=HELLO, stream=True) as events:
            seen.append([*chat, *events])

    with openai, anthropic:
        await asyncio.to_thread(handle)
        await settled(client, log.run_id)
        recorded = log.run_id
        result = await client.replay(recorded, handle)

    assert (result.hits, result.live, len(provider.requests)) == (2, 0, 2)
    assert seen[0] == seen[1]
    steps = {span.name: span.attributes for span in client.trace(recorded).spans}
    assert "You said: hello" in str(steps["chat m"]["gen_ai.output.messages"])
    assert "You said: hello" in str(steps["chat claude"]["gen_ai.output.messages"])
    assert steps["chat claude"]["gen_ai.usage.input_tokens"] == 100


@asynccontextmanager
async def mcp_session(log: Path) -> AsyncIterator[ClientSession]:
    server = StdioServerParameters(command=sys.executable, args=[str(SERVER), str(log)])
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


async def test_tools_of_an_mcp_server_are_steps_and_are_served(client: Client, log: Log, tmp_path: Path) -> None:
    backtrail.instrument_mcp()
    tools = tmp_path / "tools.log"
    answers: list[CallToolResult] = []

    @backtrail.run
    async def handle(ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        answers.append(await session.call_tool("look_up", {"order_id": "A-1"}))
        try:
            await session.call_tool("refuse", {"reason": "closed"})
        except MCPError as error:
            said = f"{error} {error.code}"
        answers.append(await session.call_tool("look_up", {"order_id": "A-2"}))
        if log.broken:
            raise TimeoutError("the mail server does not answer")
        return said

    async with mcp_session(tools) as session:
        with pytest.raises(TimeoutError):
            await handle()
        recorded = log.mended()
        await settled(client, recorded)
        result = await client.replay(recorded, handle)
    backtrail.uninstrument_mcp()

    assert (result.value, result.hits, result.live) == ("closed -32000", 3, 0)
    assert tools.read_text().splitlines() == ["look_up A-1", "refuse", "look_up A-2"]
    assert (answers[:2], type(answers[2])) == (answers[2:], CallToolResult)
    assert [step.name for step in client.trace(recorded).spans if step.attributes.get("backtrail.kind") == "step"] == [
        "execute_tool look_up",
        "execute_tool refuse",
        "execute_tool look_up",
    ]
