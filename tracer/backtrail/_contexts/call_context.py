"""The context a call brings along: handed over, kept, or new; and the user's words in it.

user's call → **context, query** → start_run, plan_agent → injected into the user's function
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backtrail._boundary import complain, never_raise
from backtrail._calls.signature import Signature
from backtrail._payloads.codec import type_name

from .context_text import Restored
from .fields import read_field
from .run_context import RunContext, replaced

HandedOver = RunContext | Restored[Any] | None


def context_for(
    given: RunContext | None, current: RunContext | None, wanted: Callable[[], RunContext] = RunContext
) -> RunContext:
    """The context of a run or agent: the one handed over, with the query kept; else the current; else a new one."""
    if given is None:
        return current if current is not None else wanted()
    if current is not None and (query := read_field(current, "query")) and not read_field(given, "query"):
        with never_raise("copying a context"):
            return replaced(given, query=query)
    return given


def check_context(handed: object) -> None:
    if handed is not None and not isinstance(handed, RunContext | Restored):
        raise TypeError(f"the context of a run is a RunContext, not {type(handed).__name__}")


def given_context(
    signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]
) -> HandedOver:
    """What was handed over: by `context=`, by `with_options`, or as an argument."""
    handed: HandedOver = options.get("context")
    if "context" in kwargs:
        is_ours = issubclass(type(kwargs["context"]), RunContext | Restored | None)
        if is_ours and kwargs["context"] is not None:
            handed = kwargs["context"]
        # Anything else is the function's own affair, a TypeError if it has no such parameter.
        if not signature.accepts("context"):
            if is_ours:
                del kwargs["context"]
            else:
                message = "context= takes an object of RunContext or of a subclass, not %s"
                complain(message, message, _kind_of(kwargs["context"]))
    if handed is None and signature.contexts:
        values = [*args, *(value for name, value in kwargs.items() if name in signature.contexts)]
        handed = next((value for value in values if issubclass(type(value), RunContext | Restored)), None)
    return handed


def _kind_of(value: object) -> str:
    return f"the class {type_name(value)}" if isinstance(value, type) else type_name(type(value))


def context_of(handed: HandedOver) -> RunContext | None:
    context: RunContext | None = handed.context if isinstance(handed, Restored) else handed
    return context


def carried_on(handed: HandedOver, state: dict[str, Any] | None, conversation_id: str | None) -> dict[str, Any]:
    """What a run begins with: the state and conversation that were restored, unless the call says otherwise."""
    if isinstance(handed, Restored):
        state = {**handed.state, **(state or {})}
        conversation_id = conversation_id or handed.conversation_id
    return {"handed_over": context_of(handed), "state": state, "conversation_id": conversation_id}


def swapped(
    old: HandedOver, new: RunContext, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with what was handed over replaced by the context that the run works on."""
    if old is None or old is new:
        return args, kwargs
    swapped = {name: new if value is old else value for name, value in kwargs.items()}
    return tuple(new if value is old else value for value in args), swapped


def query_of(inputs: dict[str, Any], parameter: str | None) -> str:
    if parameter is not None:
        value = inputs.get(parameter, "")
        return str.__str__(value) if _is_text(value) else str(value)
    return next((str.__str__(value) for value in inputs.values() if _is_text(value)), "")


def _is_text(value: object) -> bool:
    # Not `isinstance`: that asks an object for its `__class__`, which may be a property that fails.
    return issubclass(type(value), str)
