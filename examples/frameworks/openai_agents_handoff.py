# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "backtrail",
#     "backtrail-server",
#     "openai-agents",
#     "openinference-instrumentation-openai-agents",
# ]
#
# [tool.uv.sources]
# backtrail = { path = "../../tracer", editable = true }
# backtrail-server = { path = "../..", editable = true }
# ///
"""Two agents of the OpenAI Agents SDK inside a run: the first hands the customer over to the second.

PYTHONPATH=. uv run --script examples/frameworks/openai_agents_handoff.py
"""

import asyncio

from agents import Agent, Runner, function_tool
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

import backtrail
from examples.watching import QUESTION, watched


@function_tool
def look_up(order_id: str) -> str:
    """Look an order up."""
    return f"{order_id} was shipped"


orders = Agent(name="orders", model="gpt-4o-mini", instructions="Answer from the order.", tools=[look_up])
triage = Agent(name="triage", model="gpt-4o-mini", instructions="Hand over to who can help.", handoffs=[orders])


@backtrail.run
async def handle(query: str) -> str:
    return str((await Runner.run(triage, query)).final_output)


if __name__ == "__main__":
    with watched("openai-agents", expected=["triage", "handoff to orders", "orders", "response", "look_up"]):
        OpenAIAgentsInstrumentor().instrument()
        print(asyncio.run(handle(QUESTION)))
