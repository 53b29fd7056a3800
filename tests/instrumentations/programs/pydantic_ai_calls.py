"""Agents of Pydantic AI: one with a tool, a stream, an embedding; the programs choose who instruments them.

**pydantic_ai_calls** → provider
"""

from pydantic_ai import Agent

from tests.instrumentations.programs.exporting import ANTHROPIC_MODEL, OPENAI_MODEL


def look_up(city: str) -> str:
    """The weather of a city."""
    return "sunny"


def support(model: str) -> Agent:
    return Agent(model, name="support", instructions="Be brief.", tools=[look_up])


async def agent_with_a_tool() -> None:
    await support(f"openai-chat:{OPENAI_MODEL}").run("hello", conversation_id="thread-7")


async def responses_agent_with_a_tool() -> None:
    await support(f"openai-responses:{OPENAI_MODEL}").run("hello", conversation_id="thread-7")


async def anthropic_agent_streamed() -> None:
    async with support(f"anthropic:{ANTHROPIC_MODEL}").run_stream("hello", conversation_id="thread-7") as answer:
        async for _ in answer.stream_text():
            pass


ALL = [agent_with_a_tool, responses_agent_with_a_tool, anthropic_agent_streamed]
