"""A context as text, for a database or a session, and back: the conversation goes on in another process.

    ctx.to_json() → text → **AppContext.from_json(text, db=db)** → main(…, context=restored)

The text holds data in the codec's encoding: the fields, the run's state, the conversation and who was
at work. It names no class to import; the one `from_json` is called on is the one that comes back.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from backtrail import _late
from backtrail._payloads.codec import encode, type_name
from backtrail._payloads.content import json_text
from backtrail._payloads.decode import Registry, class_hints, decode, registry_of
from backtrail.errors import ContextClassError, ContextTextError, MissingServiceError, ReplayError

from .fields import blank, field_defaults, put_field, read_field
from .remembered import remembered_by

if TYPE_CHECKING:
    from .run_context import RunContext

SCHEMA = "backtrail-context/1"

C_co = TypeVar("C_co", bound="RunContext", covariant=True)
C = TypeVar("C", bound="RunContext")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored(Generic[C_co]):
    """What `from_json` gives back. Hand it to a run as `context=`, and the conversation goes on."""

    context: C_co
    state: dict[str, Any]
    conversation_id: str | None
    current_agent: str | None
    left_out: tuple[str, ...] = ()


def to_text(context: RunContext) -> str:
    """The context and what it knows of its run. What no text can hold is left out, by name."""
    remembered = remembered_by(context)
    state, current_agent = remembered.read() if remembered is not None else ({}, None)
    fields: dict[str, Any] = {}
    services: list[str] = []
    left_out: list[str] = []
    for name in field_defaults(type(context)):
        value = read_field(context, name)
        if name == "metadata" and isinstance(value, Mapping):
            value, gone = _without_services(value)
            left_out += gone
        encoded = encode(value)
        if encoded.replayable:
            fields[name] = encoded.json
        else:
            services.append(name)
    left_out += [f"state.{key}" for key, encoded in state.items() if _holds_opaque(encoded)]
    return json_text(
        {
            "schema": SCHEMA,
            "type": type_name(type(context)),
            "fields": fields,
            "services": services,
            "state": {key: encoded for key, encoded in state.items() if not _holds_opaque(encoded)},
            "conversation_id": remembered.conversation_id if remembered is not None else None,
            "current_agent": current_agent,
            "left_out": left_out,
        }
    )


def _without_services(metadata: Mapping[Any, Any]) -> tuple[dict[Any, Any], list[str]]:
    kept = {key: value for key, value in metadata.items() if encode(value).replayable}
    return kept, [f"metadata.{key}" for key in metadata if key not in kept]


def _holds_opaque(encoded: Any) -> bool:
    if isinstance(encoded, dict):
        return encoded.get("$t") == "opaque" or any(map(_holds_opaque, encoded.values()))
    return isinstance(encoded, list) and any(map(_holds_opaque, encoded))


def from_text(cls: type[C], text: str | bytes, types: Collection[type], given: Mapping[str, Any]) -> Restored[C]:
    """The context of this class that the text holds, with the services given."""
    written = _parse(text)
    _check_class(cls, written["type"])
    defaults = field_defaults(cls)
    if unknown := given.keys() - defaults.keys():
        raise TypeError(f"{cls.__name__} has no field {min(unknown)!r}")
    left = [name for name in written["services"] if name in defaults and name not in given]
    new = [name for name, offer in defaults.items() if offer.is_required and name not in written["fields"]]
    if missing := tuple(dict.fromkeys([*left, *(name for name in new if name not in given)])):
        message = f"no text holds {', '.join(missing)} of {cls.__name__}"
        raise MissingServiceError(f"{message}; call from_json(text, {missing[0]}=…)", names=missing)
    registry = registry_of(types)
    context = blank(cls, without={*written["fields"], *given})
    hints: Mapping[str, Any] = class_hints(cls)  # type: ignore[arg-type]  # a class can be hashed
    for name in defaults.keys() & written["fields"].keys() - given.keys():
        put_field(context, name, _decoded(name, written["fields"][name], hints.get(name), registry))
    for name, value in given.items():
        put_field(context, name, value)
    return Restored(
        context=context,
        state={key: _decoded(f"state.{key}", value, None, registry) for key, value in written["state"].items()},
        conversation_id=written["conversation_id"],
        current_agent=written["current_agent"],
        left_out=tuple(written["left_out"]),
    )


_SHAPE: dict[str, Any] = {
    "type": str,
    "fields": dict,
    "services": list,
    "state": dict,
    "conversation_id": str | None,
    "current_agent": str | None,
    "left_out": list,
}


def _parse(text: str | bytes) -> dict[str, Any]:
    try:
        written = _late.pydantic_core.from_json(text, allow_inf_nan=False)
    except (ValueError, TypeError) as error:
        raise ContextTextError(f"this is no JSON that to_json() wrote: {error}") from error
    schema = written.get("schema") if isinstance(written, dict) else None
    if schema != SCHEMA:
        raise ContextTextError(f"this version reads {SCHEMA}, and the text is {json.dumps(schema)[:80]}")
    for name, kind in _SHAPE.items():
        if not isinstance(written.get(name), kind):
            raise ContextTextError(f"{name!r} is missing from the text, or is not what to_json() writes there")
    if not all(isinstance(name, str) for name in (*written["services"], *written["left_out"])):
        raise ContextTextError("the text names a service by something that is no name")
    return dict(written)


def _check_class(cls: type, written: str) -> None:
    """A subclass may read what its base wrote: a context that has grown."""
    if written not in map(type_name, cls.__mro__):
        raise ContextClassError(f"the text holds a {written}, not a {type_name(cls)}")


def _decoded(what: str, encoded: Any, hint: Any, registry: Registry) -> Any:
    try:
        return decode(encoded, hint, registry)
    except ReplayError as error:
        known = "; a class that no annotation names is passed along: from_json(text, Order, …)"
        raise ContextTextError(f"{what} cannot be read: {error}{known}") from error
