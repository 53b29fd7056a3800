# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "backtrail",
#     "backtrail-server",
#     "crewai>=1.15",
#     "openinference-instrumentation-crewai",
#     "openinference-instrumentation-openai",
# ]
#
# [tool.uv.sources]
# backtrail = { path = "../../tracer", editable = true }
# backtrail-server = { path = "../..", editable = true }
# ///
"""A CrewAI crew of one inside a run. One instrumentor knows crews and agents, another the calls of the model.

PYTHONPATH=. uv run --script examples/frameworks/crewai_crew.py
"""

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from openinference.instrumentation.crewai import CrewAIInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor

import backtrail
from examples.watching import QUESTION, watched


@tool
def look_up(order_id: str) -> str:
    """Look an order up."""
    return f"{order_id} was shipped"


@backtrail.run
def handle(query: str) -> str:
    support = Agent(
        role="support",
        goal="Answer the customer.",
        backstory="You know every order.",
        llm=LLM(model="openai/gpt-4o-mini"),
        tools=[look_up],
    )
    task = Task(description=query, expected_output="One sentence.", agent=support)
    return str(Crew(agents=[support], tasks=[task]).kickoff())


if __name__ == "__main__":
    with watched("crewai", expected=["kickoff", "support", "ChatCompletion", "look_up"]):
        CrewAIInstrumentor().instrument()
        OpenAIInstrumentor().instrument()
        print(handle(QUESTION))
