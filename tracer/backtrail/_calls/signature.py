"""What is known of a decorated function before it is called: parameters, contexts to inject, types.

    @step → **Signature** → bound inputs → input hash
                          → injected contexts → the user's function

Worked out once for each function. Annotations are read at the first call, when the classes they
name exist.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Collection
from typing import Any

from backtrail._boundary import complain, never_raise
from backtrail._calls.appearance import whole_signature, without
from backtrail._payloads.codec import encode

from .annotations import context_bases, context_class, known_hint, resolve_hints
from .modules import qualname_of
from .once import once

Kind = type[Any]


class Signature:
    """A function's parameters, as recording and injection need them."""

    def __init__(self, function: Callable[..., Any], ignore: Collection[str] = ()) -> None:
        self._function = function
        self._ignore = frozenset(ignore)
        try:
            self._signature = whole_signature(function)
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
        self._positional_only = {name for name, p in self._parameters.items() if p.kind is p.POSITIONAL_ONLY}
        self._accepts_any_keyword = any(p.kind is p.VAR_KEYWORD for p in self._parameters.values())
        self.check_names(*self._ignore)

    def accepts(self, name: str) -> bool:
        return name in self._parameters or self._accepts_any_keyword

    def check_names(self, *names: str) -> None:
        """TypeError for a parameter that a decorator names and the function does not have."""
        unknown = [name for name in names if self._parameters and not self.accepts(name)]
        if unknown:
            raise TypeError(f"{qualname_of(self._function)}() has no parameter {unknown[0]!r}")

    def as_called(self) -> inspect.Signature | None:
        """What frameworks should see: contexts are not theirs to pass. None if there are none.

        They ask where the function is decorated, so a class has to be known there.
        """
        with never_raise("reading a signature"):
            annotations = {name: p.annotation for name, p in self._parameters.items()}
            contexts = [name for name, hint in annotations.items() if context_class(known_hint(self._function, hint))]
            return without(contexts, self._signature) if contexts else None
        return None

    @once
    def hints(self) -> dict[str, Any]:
        return resolve_hints(self._function)

    @property
    def return_hint(self) -> Any:
        return self.hints.get("return")

    @once
    def contexts(self) -> dict[str, Kind]:
        """The parameters to fill in: name → context class."""
        found = {
            name: context_class(self.hints.get(name))
            for name, p in self._parameters.items()
            if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        }
        return {name: cls for name, cls in found.items() if cls is not None}

    @once
    def hash_excluded(self) -> tuple[str, ...]:
        return tuple(sorted(self._ignore | set(self.contexts)))

    @once
    def _unhashed(self) -> frozenset[str]:
        receiver = {self._positional[0]} if self._is_method else set()
        return frozenset(self._ignore | set(self.contexts) | receiver)

    @once
    def _defaults(self) -> dict[str, Any]:
        return {name: encode(p.default).json for name, p in self._parameters.items() if p.default is not inspect._empty}

    @once
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
            if index < len(values) and (values[index] is None or isinstance(values[index], context_bases())):
                continue
            context = provide(cls)
            if context is None:
                self._say_missing(name, cls)
            elif index < len(values) or (index == len(values) and name in self._positional_only):
                values.insert(index, context)
            else:
                named[name] = context
        return tuple(values), named

    def _say_missing(self, name: str, cls: Kind) -> None:
        """The call itself will raise a TypeError, which cannot know why the parameter was not filled in."""
        if self._parameters[name].default is inspect.Parameter.empty:
            about = qualname_of(self._function)
            message = "%s: no %s is current here to be filled in for %r; a run is given one by context="
            complain(about, message, about, cls.__name__, name)

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
