# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "backtrail",
#     "backtrail-server",
#     "langgraph",
#     "langchain-openai",
#     "openinference-instrumentation-langchain",
# ]
#
# [tool.uv.sources]
# backtrail = { path = "../../tracer", editable = true }
# backtrail-server = { path = "../..", editable = true }
# ///
"""A LangGraph graph inside a run: a model that may call a tool, and goes on with what it found.

PYTHONPATH=. uv run --script examples/frameworks/langgraph_graph.py
"""

import asyncio
from typing import Any

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from openinference.instrumentation.langchain import LangChainInstrumentor

import backtrail
from examples.watching import QUESTION, watched


@tool
def look_up(order_id: str) -> str:
    """Look an order up."""
    return f"{order_id} was shipped"


def support() -> Any:
    model = ChatOpenAI(model="gpt-4o-mini").bind_tools([look_up])

    async def assistant(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("assistant", assistant)
    graph.add_node("tools", ToolNode([look_up]))
    graph.add_edge(START, "assistant")
    graph.add_conditional_edges("assistant", tools_condition)
    graph.add_edge("tools", "assistant")
    return graph.compile(name="support")


@backtrail.run
async def handle(query: str) -> str:
    answer = await support().ainvoke({"messages": [{"role": "user", "content": query}]})
    return str(answer["messages"][-1].content)


if __name__ == "__main__":
    with watched("langgraph", expected=["support", "assistant", "ChatOpenAI", "look_up"]):
        LangChainInstrumentor().instrument()
        print(asyncio.run(handle(QUESTION)))
