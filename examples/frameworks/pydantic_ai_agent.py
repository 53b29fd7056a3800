# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "backtrail",
#     "backtrail-server",
#     "pydantic-ai-slim[openai]",
# ]
#
# [tool.uv.sources]
# backtrail = { path = "../../tracer", editable = true }
# backtrail-server = { path = "../..", editable = true }
# ///
"""A Pydantic AI agent inside a run. It brings its own OpenTelemetry instrumentation.

PYTHONPATH=. uv run --script examples/frameworks/pydantic_ai_agent.py
"""

import asyncio

from pydantic_ai import Agent

import backtrail
from examples.watching import QUESTION, watched


def look_up(order_id: str) -> str:
    """Look an order up."""
    return f"{order_id} was shipped"


@backtrail.run
async def handle(query: str) -> str:
    support = Agent("openai-chat:gpt-4o-mini", name="support", instructions="Answer from the order.", tools=[look_up])
    return (await support.run(query)).output


if __name__ == "__main__":
    with watched("pydantic-ai", expected=["support", "chat gpt-4o-mini", "look_up"]):
        Agent.instrument_all()
        print(asyncio.run(handle(QUESTION)))
