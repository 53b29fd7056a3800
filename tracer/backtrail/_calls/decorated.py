"""A decorated function as its callers and their type checkers see it; at runtime it is a function.

    user's function → decorator → **Decorated, DecoratedAgent** → user's call

It takes what the function takes and gives what the function gives. A parameter that is a context may be left out: no
type can say "any parameter of such a class", so there is an overload for each of the first places. Pyright tells by
them which call is right. Mypy does not ask for the bound of a variable there, so it takes any call of such a shape: it
sees the result, and needs the plugin (`backtrail.mypy`) to see a wrong argument.

Both are classes and no protocols: to compare two protocols that give themselves back takes mypy for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

if TYPE_CHECKING:
    from backtrail._contexts.agent_context import AgentContext
    from backtrail._contexts.call_context import HandedOver
    from backtrail._contexts.run_context import RunContext
    from backtrail._contexts.step_context import StepContext
    from backtrail._contexts.tool_context import ToolContext

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
A1 = TypeVar("A1")
A2 = TypeVar("A2")
A3 = TypeVar("A3")
C = TypeVar("C", bound="RunContext | AgentContext | StepContext | ToolContext")


class Decorated(Generic[P, R_co]):
    """A decorated function or method."""

    __name__: str
    __wrapped__: Callable[P, R_co]

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(self: Decorated[Concatenate[C, Q], R], *args: Any, **kwargs: Any) -> R: ...
    @overload
    def __call__(self: Decorated[Concatenate[A1, C, Q], R], *args: Any, **kwargs: Any) -> R: ...
    @overload
    def __call__(self: Decorated[Concatenate[A1, A2, C, Q], R], *args: Any, **kwargs: Any) -> R: ...
    @overload
    def __call__(self: Decorated[Concatenate[A1, A2, A3, C, Q], R], *args: Any, **kwargs: Any) -> R: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    # A class method, a method asked of its class, a method, a static method.
    @overload
    def __get__(self: Decorated[Concatenate[type[S], Q], R], instance: Any, owner: type[S], /) -> Decorated[Q, R]: ...
    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> Self: ...
    @overload
    def __get__(self: Decorated[Concatenate[S, Q], R], instance: S, owner: type[Any], /) -> Decorated[Q, R]: ...
    @overload
    def __get__(self, instance: Any, owner: type[Any], /) -> Self: ...
    def __get__(self, instance: Any, owner: type[Any], /) -> Any: ...


class DecoratedAgent(Generic[P, R_co]):
    """A decorated agent or run: a context may be handed over to it."""

    __name__: str
    __wrapped__: Callable[P, R_co]

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(self, *args: Any, context: HandedOver, **kwargs: Any) -> R_co: ...
    @overload
    def __call__(self: DecoratedAgent[Concatenate[C, Q], R], *args: Any, **kwargs: Any) -> R: ...
    @overload
    def __call__(self: DecoratedAgent[Concatenate[A1, C, Q], R], *args: Any, **kwargs: Any) -> R: ...
    @overload
    def __call__(self: DecoratedAgent[Concatenate[A1, A2, C, Q], R], *args: Any, **kwargs: Any) -> R: ...
    @overload
    def __call__(self: DecoratedAgent[Concatenate[A1, A2, A3, C, Q], R], *args: Any, **kwargs: Any) -> R: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    @overload
    def __get__(
        self: DecoratedAgent[Concatenate[type[S], Q], R], instance: Any, owner: type[S], /
    ) -> DecoratedAgent[Q, R]: ...
    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> Self: ...
    @overload
    def __get__(
        self: DecoratedAgent[Concatenate[S, Q], R], instance: S, owner: type[Any], /
    ) -> DecoratedAgent[Q, R]: ...
    @overload
    def __get__(self, instance: Any, owner: type[Any], /) -> Self: ...
    def __get__(self, instance: Any, owner: type[Any], /) -> Any: ...

    def with_options(
        self,
        *,
        context: HandedOver = None,
        state: dict[str, Any] | None = None,
        conversation_id: str | None = None,
    ) -> DecoratedAgent[P, R_co]:
        """The function, with what its next call is handed over or begins with."""
        raise NotImplementedError
