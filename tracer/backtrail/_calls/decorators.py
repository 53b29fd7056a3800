"""@run, @agent, @step and @tool: the names users write.

    user's function or block → **decorator** → specs

Each works bare, with arguments, and as a block; for functions with and without `async`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, ParamSpec, TypeVar, overload

from backtrail._calls.decorated import Decorated, DecoratedAgent
from backtrail._contexts.call_context import HandedOver
from backtrail._interceptors.interceptors import Interceptor
from backtrail._payloads.capture import Capture
from backtrail._runs.steps import SideEffect, StepKind

from .retries import Backoff, RetryOn
from .specs import AgentSpec, RunSpec, StepSpec

P = ParamSpec("P")
R = TypeVar("R")

# A misspelt keyword is refused under the name that the user wrote.
for _spec in (RunSpec, AgentSpec, StepSpec):
    _spec.__init__.__qualname__ = _spec.__name__.removesuffix("Spec").lower()


@overload
def run(name: Callable[P, R], /) -> DecoratedAgent[P, R]: ...
@overload
def run(
    name: str | None = None,
    *,
    query: str | None = None,
    context: HandedOver = None,
    state: dict[str, Any] | None = None,
    conversation_id: str | None = None,
    input: Any = None,
    joins: bool = True,
    interceptors: Iterable[Interceptor] = (),
) -> RunSpec: ...
def run(name: Any = None, **options: Any) -> Any:
    """Record a function, or a block, as a run: the root of a trace of its own.

        @backtrail.run
        async def handle(query: str) -> Answer: ...

    `query` names the parameter that holds the user's words; without it, the first string is taken.
    In a block (`with run("nightly", query="…") as ctx:`) it is the words themselves.
    Where another process called, it joins that run as an agent of its name; with `joins=False` it is always
    a run of its own. `interceptors` are asked before and after the run and everything in it.
    """
    return _decorator_or_block(RunSpec, name, options)


@overload
def agent(name: Callable[P, R], /) -> DecoratedAgent[P, R]: ...
@overload
def agent(
    name: str | None = None,
    *,
    config_id: str | None = None,
    metadata: dict[str, Any] | None = None,
    interceptors: Iterable[Interceptor] = (),
) -> AgentSpec: ...
def agent(name: Any = None, **options: Any) -> Any:
    """Record a function, or a block, as an agent at work. Within another agent it is a delegation.

    @backtrail.agent(name="researcher")
    async def research(question: str) -> Answer: ...
    """
    return _decorator_or_block(AgentSpec, name, options)


@overload
def step(name: Callable[P, R], /) -> Decorated[P, R]: ...
@overload
def step(
    name: str | None = None,
    *,
    kind: StepKind | str = StepKind.CUSTOM,
    key: str | Callable[..., str] | None = None,
    version: str | None = None,
    ignore: str | Collection[str] = (),
    side_effect: SideEffect = "none",
    result_type: Any = None,
    raises: type[BaseException] | tuple[type[BaseException], ...] = (),
    stream: bool | None = None,
    retries: int = 0,
    retry_on: RetryOn = (Exception,),
    backoff: Backoff = 0.5,
    capture: Capture | bool = "all",
    input: Any = None,
) -> StepSpec: ...
def step(name: Any = None, **options: Any) -> Any:
    """Record a function, or a block, as a step: one call with its input, result and state changes.

    @backtrail.step(kind="tool")
    async def lookup(order_id: str, ctx: AppContext) -> Order: ...

    `retries=3` tries a failing function up to three times more, after `backoff` seconds, then twice as many, up to
    half a minute (or `backoff=lambda n: …`), on the errors `retry_on` names or says yes to. It is one step; each
    try is an attempt below it.

    A generator is followed from its first item to its last. With `stream=True` so is the stream that a function
    returns; with `stream=False` a generator is handed through unread.

    `capture="metadata"` records that it was called, when and for how long, and nothing of what was said; `"none"` makes
    it an ordinary function.
    """
    return _decorator_or_block(StepSpec, name, options)


@overload
def tool(name: Callable[P, R], /) -> Decorated[P, R]: ...
@overload
def tool(name: str | None = None, **options: Any) -> StepSpec: ...
def tool(name: Any = None, **options: Any) -> Any:
    """A step of kind tool."""
    return _decorator_or_block(StepSpec, name, {"kind": StepKind.TOOL_CALL, **options})


def _decorator_or_block(spec: type[RunSpec | AgentSpec | StepSpec], given: Any, options: dict[str, Any]) -> Any:
    is_name = given is None or isinstance(given, str)
    return spec(given, **options) if is_name else spec(None, **options)(given)
