"""The context a call brings along: handed over, kept, or new; and the user's words in it.

user's call → **context, query** → start_run, plan_agent → injected into the user's function
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._run_context import RunContext, replaced
from ._signature import Signature


def context_for(
    given: RunContext | None, current: RunContext | None, wanted: Callable[[], RunContext] = RunContext
) -> RunContext:
    """The context of a run or agent: the one handed over, with the query kept; else the current; else a new one."""
    if given is None:
        return current if current is not None else wanted()
    if current is not None and current.query and not given.query:
        return replaced(given, query=current.query)
    return given


def check_context(context: object) -> None:
    if context is not None and not isinstance(context, RunContext):
        raise TypeError(f"the context of a run is a RunContext, not {type(context).__name__}")


def given_context(
    signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]
) -> RunContext | None:
    """The context handed over: by `context=`, by `with_options`, or as an argument."""
    context: RunContext | None = options.get("context")
    if "context" in kwargs and isinstance(kwargs["context"], RunContext | None):
        context = kwargs["context"] if kwargs["context"] is not None else context
        # Anything else is the function's own affair, a TypeError if it has no such parameter.
        if not signature.accepts("context"):
            del kwargs["context"]
    if context is None and signature.contexts:
        values = [*args, *(value for name, value in kwargs.items() if name in signature.contexts)]
        context = next((value for value in values if isinstance(value, RunContext)), None)
    return context


def swapped(
    old: RunContext | None, new: RunContext, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with the given context replaced by the copy that knows the query."""
    if old is None or old is new:
        return args, kwargs
    swapped = {name: new if value is old else value for name, value in kwargs.items()}
    return tuple(new if value is old else value for value in args), swapped


def query_of(inputs: dict[str, Any], parameter: str | None) -> str:
    if parameter is not None:
        return str(inputs.get(parameter, ""))
    return next((value for value in inputs.values() if isinstance(value, str)), "")
