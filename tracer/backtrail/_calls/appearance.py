"""How a decorated function looks to those who ask: frameworks that call it, and programs that know its methods.

    wrap → **signature without contexts, methods of the callable** → FastAPI, click, a model's list of tools

Names, docstring and `__wrapped__` are `functools.wraps`\'; what it gives, a coroutine or items, is told by its flags.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

_PLAIN = (FunctionType, BuiltinFunctionType, MethodType, type)


class CallerSignature(inspect.Signature):
    """What a caller passes: the user's signature without the contexts, which are filled in."""

    whole: inspect.Signature | None = None


def without(names: Collection[str], signature: inspect.Signature) -> CallerSignature:
    """The signature as it looks to callers who leave these parameters out."""
    seen = CallerSignature(
        [parameter for name, parameter in signature.parameters.items() if name not in names],
        return_annotation=signature.return_annotation,
    )
    seen.whole = signature
    return seen


def whole_signature(function: Callable[..., Any]) -> inspect.Signature:
    """Its own, whatever a decorator of ours below this one has left out of it."""
    signature = inspect.signature(function)
    return (isinstance(signature, CallerSignature) and signature.whole) or signature


def lend_methods(wrapper: Callable[..., Any], function: Callable[..., Any]) -> None:
    """What else could be done with a callable object, `cache_clear()` say, can be done with the function around it."""
    if isinstance(function, _PLAIN):
        return
    for name, _ in inspect.getmembers_static(type(function), inspect.isroutine):
        if not name.startswith("_") and not hasattr(wrapper, name):
            setattr(wrapper, name, getattr(function, name))
