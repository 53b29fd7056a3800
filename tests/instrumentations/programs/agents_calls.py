"""Agents of the OpenAI Agents SDK: one with a tool, a hand-over, a stream; the programs choose who instruments them.

**agents_calls** → provider
"""

from agents import Agent, Runner, function_tool, set_trace_processors

from tests.instrumentations.programs.exporting import OPENAI_MODEL

# The SDK's own exporter would send to OpenAI.
set_trace_processors([])


@function_tool
def look_up(city: str) -> str:
    """The weather of a city."""
    return "sunny"


async def agent_with_a_tool() -> None:
    support = Agent(name="support", model=OPENAI_MODEL, instructions="Be brief.", tools=[look_up])
    await Runner.run(support, "hello")


async def agent_handed_over() -> None:
    weather = Agent(name="weather", model=OPENAI_MODEL, instructions="Be brief.", tools=[look_up])
    triage = Agent(name="triage", model=OPENAI_MODEL, instructions="Hand over.", handoffs=[weather])
    await Runner.run(triage, "hello")


async def agent_streamed() -> None:
    support = Agent(name="support", model=OPENAI_MODEL, instructions="Be brief.", tools=[look_up])
    async for _ in Runner.run_streamed(support, "hello").stream_events():
        pass


ALL = [agent_with_a_tool, agent_handed_over, agent_streamed]
