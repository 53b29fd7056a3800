"""What is known of a decorated function before it is called: parameters, contexts to inject, types.

    @step → **Signature** → bound inputs → input hash
                          → injected contexts → the user's function

Worked out once for each function. Annotations are read at the first call, when the classes they
name exist.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
import types
import typing
from collections.abc import Callable, Collection
from typing import Any

from ._codec import encode

Kind = type[Any]


class Signature:
    """A function's parameters, as recording and injection need them."""

    def __init__(self, function: Callable[..., Any], ignore: Collection[str] = ()) -> None:
        self._function = function
        self._ignore = frozenset(ignore)
        try:
            self._signature = inspect.signature(function)
        except (ValueError, TypeError):
            self._signature = inspect.Signature()
        self._parameters = dict(self._signature.parameters)
        names = list(self._parameters)
        self._is_method = bool(names) and names[0] in ("self", "cls")
        self._is_simple = all(
            p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in self._parameters.values()
        ) and bool(names)
        self._positional = [
            name for name, p in self._parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        self._accepts_any_keyword = any(p.kind is p.VAR_KEYWORD for p in self._parameters.values())

    def accepts(self, name: str) -> bool:
        return name in self._parameters or self._accepts_any_keyword

    @functools.cached_property
    def hints(self) -> dict[str, Any]:
        return _resolve_hints(self._function)

    @property
    def return_hint(self) -> Any:
        return self.hints.get("return")

    @functools.cached_property
    def contexts(self) -> dict[str, Kind]:
        """The parameters to fill in: name → context class."""
        found = {name: _context_class(self.hints.get(name)) for name in self._parameters}
        return {name: cls for name, cls in found.items() if cls is not None}

    @functools.cached_property
    def hash_excluded(self) -> tuple[str, ...]:
        return tuple(sorted(self._ignore | set(self.contexts)))

    @functools.cached_property
    def _unhashed(self) -> frozenset[str]:
        receiver = {self._positional[0]} if self._is_method else set()
        return frozenset(self._ignore | set(self.contexts) | receiver)

    @functools.cached_property
    def _defaults(self) -> dict[str, Any]:
        return {name: encode(p.default).json for name, p in self._parameters.items() if p.default is not inspect._empty}

    @functools.cached_property
    def code_hash(self) -> str | None:
        return _code_hash(self._function)

    def inject(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], provide: Callable[[Kind], Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call's arguments with the contexts it left out; those given stay."""
        if not self.contexts:
            return args, kwargs
        values, named = list(args), dict(kwargs)
        for name, cls in self.contexts.items():
            if name in named:
                continue
            index = self._positional.index(name) if name in self._positional else len(values)
            if index < len(values) and (values[index] is None or isinstance(values[index], cls)):
                continue
            context = provide(cls)
            if context is None:
                continue
            if index < len(values):
                values.insert(index, context)
            else:
                named[name] = context
        return tuple(values), named

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The inputs by parameter name, without receiver, contexts, ignored ones and untouched defaults."""
        unhashed = self._unhashed
        bound: dict[str, Any]
        if self._is_simple and len(args) <= len(self._positional):
            bound = dict(zip(self._positional, args, strict=False))
            bound.update(kwargs)
        elif self._parameters:
            try:
                bound = dict(self._signature.bind_partial(*args, **kwargs).arguments)
            except TypeError:
                return {"args": list(args), "kwargs": kwargs}
        else:
            return {"args": list(args), "kwargs": kwargs}
        return {name: value for name, value in bound.items() if name not in unhashed} if unhashed else bound

    def without_defaults(self, encoded: Any) -> Any:
        """Drops inputs that encode like their default: a new defaulted parameter keeps old keys valid."""
        defaults = self._defaults
        if not defaults:
            return encoded
        return {
            name: value
            for name, value in encoded.items()
            if name not in defaults or not _is_same(value, defaults[name])
        }


def _is_same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default) and repr(value) == repr(default)


def _resolve_hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        # Classes of a function's own body, or of `if TYPE_CHECKING`: each annotation on its own.
        namespace = dict(getattr(function, "__globals__", {}))
        closure = inspect.getclosurevars(function).nonlocals if inspect.isfunction(function) else {}
        return {
            name: _resolve(annotation, namespace | dict(closure))
            for name, annotation in getattr(function, "__annotations__", {}).items()
        }


def _resolve(annotation: Any, namespace: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    holder = type("Holder", (), {"__annotations__": {"it": annotation}})
    try:
        return typing.get_type_hints(holder, namespace, include_extras=True)["it"]
    except Exception:
        return _context_by_name(annotation)


def _context_by_name(annotation: str) -> Any:
    """A context class made inside a function cannot be looked up, but it is known to its base."""
    name = annotation.replace("Optional[", "").replace("]", "").split("|")[0].strip()
    waiting = list(_context_bases())
    while waiting:
        cls = waiting.pop()
        if cls.__name__ == name:
            return cls
        waiting.extend(cls.__subclasses__())
    return None


def _context_bases() -> tuple[type, ...]:
    from ._agent_context import AgentContext
    from ._run_context import RunContext
    from ._step_context import StepContext

    return RunContext, AgentContext, StepContext


def _context_class(hint: Any) -> Kind | None:
    origin = typing.get_origin(hint)
    if origin is typing.Union or origin is types.UnionType or origin is typing.Annotated:
        arguments = typing.get_args(hint)[:1] if origin is typing.Annotated else typing.get_args(hint)
        return next((cls for cls in map(_context_class, arguments) if cls is not None), None)
    if isinstance(hint, type) and issubclass(hint, _context_bases()):
        return hint
    return None


def _code_hash(function: Callable[..., Any]) -> str | None:
    """A hash of what the function does: comments, formatting, docstring and decorators do not count."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    definition.decorator_list = []
    if ast.get_docstring(definition, clean=False) is not None:
        definition.body = definition.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(definition).encode("utf-8", "surrogatepass")).hexdigest()
