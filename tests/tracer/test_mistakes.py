"""What is easily got wrong is answered by one sentence that says what would be right."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest

import backtrail
from backtrail import Client, RunContext
from backtrail.testing import capture_spans

anything = cast(Any, backtrail)  # a type checker would say it first

URL = "an endpoint is a URL such as http://127.0.0.1:4318, not "


class Undecorated(RunContext):
    user_id: str


@dataclass
class Decorated(RunContext):
    user_id: str


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "a keyword of step()": (lambda: anything.step(kinds="tool"), "step() got an unexpected keyword argument 'kinds'"),
    "a keyword of agent()": (lambda: anything.agent(nam="a"), "agent() got an unexpected keyword argument 'nam'"),
    "a keyword of run()": (lambda: anything.run(nam="a"), "run() got an unexpected keyword argument 'nam'"),
    "a kind": (
        lambda: backtrail.step(kind="tol"),
        "kind is one of llm, tool, retriever, embedding, human, custom, not 'tol'",
    ),
    "a side effect": (
        lambda: anything.step(side_effect="danger"),
        "side_effect is one of none, idempotent, unsafe, not 'danger'",
    ),
    "no scheme": (lambda: backtrail.configure("localhost:4318"), f"{URL}'localhost:4318'"),
    "no host": (lambda: backtrail.configure("http://"), f"{URL}'http://'"),
    "a client's address": (lambda: Client("localhost:4318"), f"{URL}'localhost:4318'"),
    "a rate for a sampling": (
        lambda: anything.configure(sampling=0.5),
        "sampling is a Sampling, for example Sampling(rate=0.1), not 0.5",
    ),
    "one exporter": (lambda: anything.configure(exporters=7), "exporters is a list, not 7"),
    "one interceptor": (lambda: anything.configure(interceptors=7), "interceptors is a list of interceptors, not 7"),
    "no @dataclass": (
        lambda: cast(Any, Undecorated)(user_id="u1"),
        "Undecorated() got an unexpected keyword argument 'user_id'; is @dataclass missing above class Undecorated?",
    ),
    "no @dataclass, and no name": (
        lambda: cast(Any, Undecorated)("u1"),
        "Undecorated() got an argument without a name; is @dataclass missing above class Undecorated?",
    ),
    "a word of RunContext's": (
        lambda: cast(Any, RunContext)(user="u1"),
        "RunContext() got an unexpected keyword argument 'user'",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered_by_what_would_be_right(name: str) -> None:
    make, words = MISTAKES[name]

    with pytest.raises((TypeError, ValueError)) as raised:
        make()

    assert str(raised.value) == words


@pytest.mark.parametrize(("given", "kind"), [(Decorated, "the class "), ({"user_id": "u1"}, "builtins:dict")])
def test_what_is_no_context_is_the_functions_own_affair_and_said_in_the_log(
    given: object, kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backtrail._boundary._last_line", {})

    @backtrail.run
    def main(query: str) -> str:
        return query

    with capture_spans(), caplog.at_level(logging.ERROR), pytest.raises(TypeError, match="'context'"):
        cast(Any, main)("hello", context=given)

    (line,) = caplog.messages
    assert line.startswith(f"context= takes an object of RunContext or of a subclass, not {kind}")


def test_a_function_with_a_parameter_named_context_takes_what_it_likes(caplog: pytest.LogCaptureFixture) -> None:
    @backtrail.run
    def main(context: dict[str, str]) -> str:
        return context["user_id"]

    with capture_spans():
        assert main(context={"user_id": "u1"}) == "u1"
    assert caplog.messages == []


def test_a_client_says_where_it_asks() -> None:
    with Client("http://127.0.0.1:1/") as client:
        assert repr(client) == "<Client of http://127.0.0.1:1>"
