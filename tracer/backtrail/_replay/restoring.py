"""What a recorded run was called with, as values again: its arguments and its context.

    bundle.run → **restoring** → the user's function is called as it was

Data comes from the record, services from the caller: a recording holds no connection and no key. What is missing is
said before the first step runs.
"""

import copy
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from backtrail._calls.appearance import whole_signature
from backtrail._calls.signature import Signature
from backtrail._contexts.fields import blank, put_field
from backtrail._contexts.run_context import RunContext
from backtrail._payloads.codec import encode, type_name
from backtrail._payloads.decode import Registry, class_hints, decode
from backtrail._payloads.redacted_inputs import is_redacted
from backtrail.errors import ReplayError, ResultNotReplayableError

from .bundle import ContextRecord
from .divergence import Divergence


def restore_arguments(
    function: Callable[..., Any], recorded: Mapping[str, Any], registry: Registry, given: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and keyword arguments of the recorded call, typed by the function's annotations.

    Those that are `given` were redacted in the record.
    """
    signature = Signature(function)
    own = whole_signature(function)
    parameters = own.parameters
    if not recorded.keys() <= parameters.keys():
        return _restore_unbound(function, recorded, registry)
    bound = own.bind_partial()
    for name, parameter in parameters.items():
        if name in given:
            bound.arguments[name] = given[name]
        elif name in recorded:
            hint = signature.hints.get(name)
            bound.arguments[name] = decode(recorded[name], _collected(parameter, hint), registry)
    return bound.args, bound.kwargs


def _collected(parameter: inspect.Parameter, hint: Any) -> Any:
    if hint is None:
        return None
    match parameter.kind:
        case inspect.Parameter.VAR_POSITIONAL:
            return tuple[hint, ...]
        case inspect.Parameter.VAR_KEYWORD:
            return dict[str, hint]
    return hint


def _restore_unbound(
    function: Callable[..., Any], recorded: Mapping[str, Any], registry: Registry
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    match dict(recorded):
        case {"args": list(args), "kwargs": dict(kwargs), **rest} if not rest:
            decoded = {name: decode(value, None, registry) for name, value in kwargs.items()}
            return tuple(decode(value, None, registry) for value in args), decoded
    unknown = ", ".join(sorted(set(recorded) - set(whole_signature(function).parameters)))
    raise ReplayError(f"{function.__qualname__} has no parameter {unknown}, which the run was recorded with")


def restore_context(
    function: Callable[..., Any],
    recorded: ContextRecord | None,
    given: RunContext | None,
    *,
    registry: Registry,
    overrides: Collection[str] = (),
) -> tuple[RunContext | None, list[Divergence]]:
    """The context the run had, and where the one given says something else."""
    if recorded is None:
        return given, []
    cls = type(given) if given is not None else _find_class(function, recorded.type, registry)
    fields, undecodable = _decode_fields(cls, recorded, registry, overrides)
    missing = [name for name in (*recorded.opaque, *undecodable) if getattr(given, name, None) is None]
    if missing:
        raise ReplayError(f"no recording holds {', '.join(missing)} of {recorded.type}; pass context=… with it")
    context = copy.copy(given) if given is not None else blank(cls)
    for name, value in fields.items():
        put_field(context, name, value)
    return context, [] if given is None else _differences(recorded, given, fields)


def _decode_fields(
    cls: type, recorded: ContextRecord, registry: Registry, overrides: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """The data fields as values, and the names of those that hold a service somewhere within."""
    hints = class_hints(cls)
    fields, undecodable = {}, []
    for name in recorded.fields.keys() - set(overrides) - set(recorded.opaque):
        if name == "query" and is_redacted(recorded.fields[name]):
            continue  # the run takes it from its arguments again
        try:
            fields[name] = decode(recorded.fields[name], hints.get(name), registry)
        except ResultNotReplayableError:
            undecodable.append(name)
    return fields, sorted(undecodable)


def _find_class(function: Callable[..., Any], name: str, registry: Registry) -> type[RunContext]:
    """The class of the recorded name among those this program has defined; nothing is imported to find it."""
    named: list[type] = [RunContext, *Signature(function).contexts.values(), *registry.values()]
    for cls in (*named, *_subclasses(RunContext)):
        if name == type_name(cls) and issubclass(cls, RunContext):
            return cls
    raise ReplayError(f"the run's context is a {name}, and no such class is defined here; pass context=…")


def _subclasses(cls: type[RunContext]) -> Iterator[type[RunContext]]:
    """All that are alive, the newest first: in a notebook a class is often defined again."""
    for subclass in reversed(cls.__subclasses__()):
        yield subclass
        yield from _subclasses(subclass)


def _differences(recorded: ContextRecord, given: RunContext, fields: Mapping[str, Any]) -> list[Divergence]:
    """Fields that were given on purpose: neither as recorded nor left at their default."""
    untouched, again = blank(type(given)), blank(type(given))
    changed = [
        name
        for name in fields
        if hasattr(given, name)
        and _json(given, name) not in (recorded.fields[name], _json(untouched, name))
        # An id or a time that is new in every context was not given on purpose, as far as one can tell.
        and _json(untouched, name) == _json(again, name)
    ]
    detail = "context field {!r} was given differently; the recorded value is used"
    return [
        Divergence(kind="context_changed", name=name, step_key=None, detail=detail.format(name)) for name in changed
    ]


def _json(context: RunContext, name: str) -> object:
    return encode(getattr(context, name, None)).json
