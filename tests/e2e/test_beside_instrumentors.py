"""Other instrumentations of the same client: their spans lie below our steps, and each model call counts once."""

import importlib
import pkgutil
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, resources
from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor as OpenTelemetry
from opentelemetry.instrumentation.openai import OpenAIInstrumentor as OpenLLMetry

import backtrail
from backtrail import Client, RunContext
from backtrail._reading.answers import Node
from tests.e2e.replaying import Log, settled
from tests.providers import Provider, running_provider

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")  # OpenLLMetry's

HELLO: Any = [{"role": "user", "content": "hello"}]
ALL: dict[str, Any] = {"openinference": OpenInference, "openllmetry": OpenLLMetry, "opentelemetry": OpenTelemetry}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
async def openai(provider: Provider) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="sk-secret") as client:
        yield client


@pytest.fixture(params=[*ALL, "openllmetry and opentelemetry"])
def others(request: pytest.FixtureRequest) -> Iterator[str]:
    instrumentors = [ALL[name]() for name in request.param.split(" and ")]
    before = {cls: dict(vars(cls)) for cls in resource_classes()}
    for instrumentor in instrumentors:
        instrumentor.instrument()
    yield request.param
    for instrumentor in reversed(instrumentors):
        instrumentor.uninstrument()
    # One of them leaves some of its wrappers in place, and the tests after this one would meet them.
    for cls, methods in before.items():
        for name, method in methods.items():
            if vars(cls).get(name) is not method and callable(method):
                setattr(cls, name, method)


def resource_classes() -> set[type]:
    """All of the client's, also those it would import later: an instrumentor does so, and wraps them."""
    names = [module.name for module in pkgutil.walk_packages(resources.__path__, "openai.resources.")]
    found = [thing for name in names for thing in vars(importlib.import_module(name)).values()]
    return {thing for thing in found if isinstance(thing, type) and thing.__module__ in names}


def names_below(node: Node, name: str) -> list[str]:
    """The spans below the first span of this name, outermost first."""
    for child in node.children:
        if child.name == name:
            return [below for each in child.children for below in [each.name, *names_below(each, "")]]
        if found := names_below(child, name):
            return found
    return []


async def test_their_spans_lie_in_a_step_of_ours_and_speak_for_it(
    client: Client, log: Log, openai: AsyncOpenAI, others: str
) -> None:
    @backtrail.step(kind="llm")
    async def ask(query: str) -> str | None:
        answer = await openai.chat.completions.create(model="m", messages=HELLO)
        return answer.choices[0].message.content

    @backtrail.run
    async def handle(query: str, ctx: RunContext) -> str | None:
        log.run_id = ctx.run.run_id
        return await ask(query)

    await handle("my words")
    await settled(client, log.run_id)
    run = client.run(log.run_id)

    assert names_below(run.tree, "chat ask")
    foreign = [span for span in client.trace(log.run_id).spans if "backtrail.kind" not in span.attributes]
    assert {span.attributes["backtrail.query"] for span in foreign} == {"my words"}
    assert run.llm_calls == 1
    assert (run.input_tokens, run.output_tokens) == (100, 20)


@pytest.mark.parametrize("ours_is", ["outside", "inside"])
async def test_a_call_that_both_record_counts_once_and_in_a_replay_not_at_all(
    client: Client, log: Log, provider: Provider, openai: AsyncOpenAI, others: str, ours_is: str
) -> None:
    instrumentors = [ALL[name]() for name in others.split(" and ")]
    if ours_is == "outside":
        backtrail.instrument_openai()
    else:
        for each in reversed(instrumentors):
            each.uninstrument()
        backtrail.instrument_openai()
        for each in instrumentors:
            each.instrument()

    @backtrail.run
    async def handle(query: str, ctx: RunContext) -> str | None:
        log.run_id = ctx.run.run_id
        answer = await openai.chat.completions.create(model="m", messages=HELLO)
        if log.broken:
            raise TimeoutError("the mail server does not answer")
        return answer.choices[0].message.content

    with pytest.raises(TimeoutError):
        await handle("hello")
    recorded = log.mended()
    await settled(client, recorded)
    result = await client.replay(recorded, handle)
    await settled(client, result.run_id)
    backtrail.uninstrument_openai()

    assert (result.value, result.hits, len(provider.requests)) == ("You said: hello", 1, 1)
    first, second = client.run(recorded), client.run(result.run_id)
    assert (first.llm_calls, first.input_tokens, first.output_tokens) == (1, 100, 20)
    assert (second.llm_calls, second.input_tokens, second.output_tokens) == (0, None, None)
