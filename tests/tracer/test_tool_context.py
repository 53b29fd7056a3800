"""ToolContext: one parameter with the run's state, the user's context and what the run has used."""

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import pytest

import backtrail
from backtrail import RunContext, StepContext, ToolContext, get_current_tool_context, semconv
from backtrail.contexts import RetryContext
from backtrail.testing import capture_spans


@dataclass
class AppContext(RetryContext):
    user_id: str = "u1"


@backtrail.tool
def find_customer(customer_id: str, tool: ToolContext) -> str:
    tool.state["customer_id"] = customer_id
    tool.state.update(name="Ada", account="premium")
    return f"found {customer_id}"


@backtrail.tool
def find_invoice(tool: ToolContext) -> str:
    return f"invoice of {tool.state['name']}, {tool.state.get('account')}"


def test_what_one_tool_writes_the_next_one_reads() -> None:
    @backtrail.agent
    def desk() -> list[str]:
        return [find_customer("c-1"), find_invoice()]

    @backtrail.run
    def main(ctx: RunContext) -> tuple[list[str], Any]:
        return desk(), ctx.get_state("customer_id")

    with capture_spans() as spans:
        assert main() == (["found c-1", "invoice of Ada, premium"], "c-1")

    deltas = json.loads(str((spans.named("execute_tool find_customer").attributes or {})[semconv.STEP_DELTAS]))
    assert [operation["key"] for delta in deltas for operation in delta["ops"]] == ["customer_id", "name", "account"]


def test_state_behaves_as_a_dict_does() -> None:
    with capture_spans(), backtrail.run("r", state={"a": 1}) as ctx:
        state = get_current_tool_context().state
        assert isinstance(state, MutableMapping)
        assert (state["a"], "a" in state, "b" in state, len(state), list(state)) == (
            1,
            True,
            False,
            1,
            ["a"],
        )
        assert state.setdefault("a", 2) == 1
        assert state.setdefault("b", [1]) == [1]
        state["b"].append(2)
        assert state["b"] == [1]
        assert state == {"a": 1, "b": [1]}
        assert repr(state) == "RunState({'a': 1, 'b': [1]})"
        del state["a"]
        assert state.pop("b") == [1]
        assert not state
        for missing in (lambda: state["a"], lambda: state.pop("a"), lambda: state.__delitem__("a")):
            with pytest.raises(KeyError):
                missing()
        assert ctx.get_state("a") is None


def test_the_context_is_a_mapping_whose_writes_go_to_state() -> None:
    given = AppContext("u7", metadata={"request": "r1", "user_id": "hidden"}, query="q")
    with capture_spans(), backtrail.run("r", context=given) as ctx:
        context = get_current_tool_context().context
        assert isinstance(context, Mapping)
        assert (context["user_id"], context["request"], context["query"]) == ("u7", "r1", "q")
        assert context.get("nothing", "else") == "else"
        assert list(context) == ["query", "metadata", "retry_count", "max_retries", "user_id", "request"]
        context["user_id"] = "u8"
        context["seen"] = True
        assert (context["user_id"], context["seen"], len(context)) == ("u8", True, 7)
        assert (ctx.get_state("user_id"), ctx.get_state("seen")) == ("u8", True)
        del context["user_id"]
        assert context["user_id"] == "u7"
        with pytest.raises(KeyError):
            del context["user_id"]
        assert "ContextData({'query': 'q'" in repr(context)

    assert (given.user_id, given.metadata) == ("u7", {"request": "r1", "user_id": "hidden"})


def test_it_knows_the_run_the_agent_the_step_and_the_usage() -> None:
    @backtrail.step
    def ask(this: StepContext, tool: ToolContext) -> Any:
        this.record_llm(request_model="m", input_tokens=3, output_tokens=4)
        assert tool.step_context is this
        return tool.usage.tokens, tool.retry_count, tool.run_context.query, tool.agent_context.name

    @backtrail.agent
    def desk(tool: ToolContext) -> Any:
        assert tool.step_context is None
        assert tool.agent_context is backtrail.get_current_agent_context()
        return ask(), tool.usage.tokens

    @backtrail.run
    def main(words: str, tool: ToolContext) -> Any:
        assert (tool.step_context, tool.run_context.query) == (None, words)
        return desk(), get_current_tool_context().usage.tokens

    with capture_spans():
        assert main("hello", context=AppContext(retry_count=2)) == (((7, 2, "hello", "desk"), 7), 7)


def test_the_tries_of_a_step_count_before_those_of_the_context() -> None:
    @backtrail.tool(retries=2)
    def flaky(tool: ToolContext) -> int:
        if tool.retry_count < 2:
            raise ConnectionError
        return tool.retry_count

    @backtrail.run
    def main() -> int:
        return flaky()

    with capture_spans():
        assert main() == 2
        assert find_retries(context=AppContext(retry_count=5)) == 5


@backtrail.run
def find_retries(tool: ToolContext) -> int:
    return tool.retry_count


def test_one_made_by_hand_serves_a_tools_test() -> None:
    tool = ToolContext(AppContext("u1", retry_count=1), state={"name": "Ada"})

    assert find_invoice.__wrapped__(tool) == "invoice of Ada, None"
    assert find_customer.__wrapped__("c-2", tool=tool) == "found c-2"
    assert tool.state == {"name": "Ada", "customer_id": "c-2", "account": "premium"}
    assert (tool.retry_count, tool.usage.tokens, tool.step_context, tool.agent_context.name) == (1, 0, None, "default")
    assert ToolContext().context["query"] == ""


def test_outside_a_run_there_is_none() -> None:
    with pytest.raises(RuntimeError, match="no run is active"):
        get_current_tool_context()
    with pytest.raises(TypeError, match="tool"):
        find_invoice()
