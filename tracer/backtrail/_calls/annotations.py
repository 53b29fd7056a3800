"""Annotations of a user's function, as types: which of its parameters are contexts to fill in.

    def lookup(order_id: str, ctx: "AppContext | None") → **annotations** → Signature

Classes may be out of sight: made inside a function, or imported for type checkers only. A context
class is found all the same, by its name, as it is known to its base.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import itertools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any


def resolve_hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        # Classes of a function's own body, or of `if TYPE_CHECKING`: each annotation on its own.
        namespace = dict(getattr(function, "__globals__", {}))
        closure = inspect.getclosurevars(function).nonlocals if inspect.isfunction(function) else {}
        return {
            name: resolve(annotation, namespace | dict(closure), functools.partial(_context_by_name, function))
            for name, annotation in getattr(function, "__annotations__", {}).items()
        }


def known_hint(function: Callable[..., Any], annotation: Any) -> Any:
    """An annotation as far as it can be told already, where the function is made."""
    if not isinstance(annotation, str) or hasattr(builtins, annotation):
        return annotation
    namespace = getattr(inspect.unwrap(function), "__globals__", {})
    return resolve(annotation, namespace, functools.partial(_context_by_name, function))


def resolve(annotation: Any, namespace: Mapping[str, Any], otherwise: Callable[[str], Any] = lambda _: None) -> Any:
    """One annotation as a type, if it can be looked up there."""
    if not isinstance(annotation, str):
        return annotation
    holder = type("Holder", (), {"__annotations__": {"it": annotation}})
    try:
        return typing.get_type_hints(holder, dict(namespace), include_extras=True)["it"]
    except Exception:
        return otherwise(annotation)


def _context_by_name(near: Callable[..., Any], annotation: str) -> Any:
    """A context class that cannot be looked up, made inside a function, say, is known to its base."""
    names = _names_in(annotation)
    found: list[type] = []
    waiting = list(context_bases())
    while waiting:
        cls = waiting.pop()
        found += [cls] if cls.__name__ in names else []
        waiting.extend(cls.__subclasses__())
    # Of several the nearest to the function; of those the first found, which was made last.
    return max(found, key=functools.partial(_shared_names, near), default=None)


def _shared_names(function: Callable[..., Any], cls: type) -> int:
    """How many names the paths to both have in common from the start."""
    here, there = (
        [*getattr(thing, "__module__", "").split("."), *getattr(thing, "__qualname__", "").split(".")]
        for thing in (function, cls)
    )
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(here, there, strict=False)))


def _names_in(annotation: str) -> set[str]:
    """The classes that `X`, `m.X`, `X | None`, `Optional[X]` and `Annotated[X, …]` name."""
    try:
        waiting: list[ast.expr] = [ast.parse(annotation.strip(), mode="eval").body]
    except SyntaxError:
        return set()
    names = set()
    while waiting:
        match waiting.pop():
            case ast.Name(id=name) | ast.Attribute(attr=name):
                names.add(name)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                waiting += [left, right]
            case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
                is_annotated = name == "Annotated" and isinstance(inner, ast.Tuple)
                if name in ("Optional", "Union") or is_annotated:
                    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                    waiting += parts[:1] if is_annotated else parts
    return names


def context_bases() -> tuple[type, ...]:
    from backtrail._contexts.agent_context import AgentContext
    from backtrail._contexts.run_context import RunContext
    from backtrail._contexts.step_context import StepContext
    from backtrail._contexts.tool_context import ToolContext

    return RunContext, AgentContext, StepContext, ToolContext


def context_class(hint: Any) -> type[Any] | None:
    origin = typing.get_origin(hint)
    if origin is typing.Union or origin is types.UnionType or origin is typing.Annotated:
        arguments = typing.get_args(hint)[:1] if origin is typing.Annotated else typing.get_args(hint)
        return next((cls for cls in map(context_class, arguments) if cls is not None), None)
    if isinstance(hint, type) and issubclass(hint, context_bases()):
        return hint
    return None
