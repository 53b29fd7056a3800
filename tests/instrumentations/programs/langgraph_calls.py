"""An agent of LangGraph with a tool, and LangChain's models by themselves; the programs choose who instruments them.

**langgraph_calls** → provider
"""

from langchain_anthropic import ChatAnthropic
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from tests.instrumentations.programs.exporting import ANTHROPIC_MODEL, OPENAI_MODEL

IN_THREAD: RunnableConfig = {"metadata": {"session_id": "thread-7"}}


@tool
def look_up(city: str) -> str:
    """The weather of a city."""
    return "sunny"


def openai() -> ChatOpenAI:
    return ChatOpenAI(model=OPENAI_MODEL, max_retries=0, stream_usage=True)


def anthropic() -> ChatAnthropic:
    return ChatAnthropic(model_name=ANTHROPIC_MODEL, max_retries=0, timeout=None, stop=None)


def graph() -> None:
    model = openai().bind_tools([look_up])
    nodes = StateGraph(MessagesState)
    nodes.add_node("assistant", lambda state: {"messages": [model.invoke(state["messages"])]})
    nodes.add_node("tools", ToolNode([look_up]))
    nodes.add_edge(START, "assistant")
    nodes.add_conditional_edges("assistant", tools_condition)
    nodes.add_edge("tools", "assistant")
    nodes.compile(name="support").invoke({"messages": [{"role": "user", "content": "hello"}]}, IN_THREAD)


async def chain_streamed() -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{said}")])
    async for _ in (prompt | openai()).astream({"said": "hello"}, IN_THREAD):
        pass


def anthropic_model() -> None:
    anthropic().invoke("hello", IN_THREAD)


def anthropic_model_streamed() -> None:
    for _ in anthropic().stream("hello", IN_THREAD):
        pass


ALL = [graph, chain_streamed, anthropic_model, anthropic_model_streamed]
