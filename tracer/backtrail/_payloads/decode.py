"""The way back: recorded JSON → the user's value, with its types.

    bundle → **decode** → result of a served step

Classes come only from the annotation a value is decoded for, or from those registered; the stored
name is compared and picks the member of a union, no more. Anything unexpected is a `ReplayError`.
"""

import base64
import functools
import inspect
import pathlib
import sys
import types
import typing
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from backtrail._calls.annotations import resolve
from backtrail._contexts.fields import blank, field_defaults, offered_fields
from backtrail.errors import ReplayError, ResultNotReplayableError

from .codec import is_model, type_name
from .recorded_errors import decode_error

# Each level of data costs two levels of JSON at most, plus the tag of the value itself.
MAX_DEPTH = 160

Registry = Mapping[str, type]


def registry_of(classes: Iterable[type]) -> dict[str, type]:
    return {type_name(cls): cls for cls in classes}


def decode(encoded: Any, hint: Any = None, registry: Registry | None = None) -> Any:
    """The value behind the JSON. `hint` is the annotation it is for, `registry` the classes allowed besides."""
    return _Decoder(registry or {}).decode(encoded, hint, 0)


class _Decoder:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def decode(self, encoded: Any, hint: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ReplayError(f"a recorded value is nested deeper than {MAX_DEPTH} levels")
        if isinstance(encoded, list):
            return self._items(encoded, _item_hint(hint, (list, typing.Sequence)), depth)
        if not isinstance(encoded, dict):
            return encoded
        if "$t" in encoded:
            return self._tagged(encoded, hint, depth)
        value_hint = _item_hint(hint, (dict, typing.Mapping), position=1)
        return {key: self.decode(item, value_hint, depth + 1) for key, item in encoded.items()}

    def _items(self, encoded: Any, hint: Any, depth: int) -> list[Any]:
        if not isinstance(encoded, list):
            raise ReplayError("a recorded sequence is not a JSON array")
        return [self.decode(item, hint, depth + 1) for item in encoded]

    def _tagged(self, encoded: dict[str, Any], hint: Any, depth: int) -> Any:
        tag, body = encoded["$t"], encoded.get("v")
        if not isinstance(tag, str):
            raise ReplayError("a recorded value has a tag that is not a string")
        if tag in _SCALARS:
            return _scalar(tag, body)
        if tag == "tuple":
            return self._tuple(body, hint, depth)
        if tag in ("set", "frozenset"):
            items = self._items(body, _item_hint(hint, (set, frozenset, typing.AbstractSet)), depth)
            return frozenset(items) if tag == "frozenset" else set(items)
        if tag == "map":
            return self._map(body, hint, depth)
        if tag == "opaque":
            raise ResultNotReplayableError(f"{encoded.get('type')} cannot be kept in a recording", reason="opaque")
        if tag == "redacted":
            raise ResultNotReplayableError("it was redacted before it was recorded", reason="redacted")
        if tag == "truncated":
            if isinstance(body, dict) and body.get("head") == "":
                raise ResultNotReplayableError("only its size was recorded", reason="not_captured")
            raise ResultNotReplayableError("the value was over the payload limit when recorded", reason="too_large")
        return self._instance(tag, encoded, hint, depth)

    def _tuple(self, body: Any, hint: Any, depth: int) -> Any:
        for member in _members(hint):
            if isinstance(member, type) and issubclass(member, tuple) and hasattr(member, "_make"):
                return member._make(self._items(body, None, depth))
            arguments = typing.get_args(member) if typing.get_origin(member) is tuple else ()
            if arguments and Ellipsis not in arguments and isinstance(body, list) and len(arguments) == len(body):
                return tuple(self.decode(item, each, depth + 1) for item, each in zip(body, arguments, strict=True))
        return tuple(self._items(body, _item_hint(hint, (tuple, typing.Sequence)), depth))

    def _map(self, body: Any, hint: Any, depth: int) -> dict[Any, Any]:
        key_hint = _item_hint(hint, (dict, typing.Mapping))
        value_hint = _item_hint(hint, (dict, typing.Mapping), position=1)
        pairs = self._pairs(body)
        return {self.decode(k, key_hint, depth + 1): self.decode(v, value_hint, depth + 1) for k, v in pairs}

    def _pairs(self, body: Any) -> list[tuple[Any, Any]]:
        if not isinstance(body, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in body):
            raise ReplayError("a recorded map is not an array of pairs")
        return [(pair[0], pair[1]) for pair in body]

    def _instance(self, tag: str, encoded: dict[str, Any], hint: Any, depth: int) -> Any:
        builder = _BUILDERS.get(tag)
        if builder is None:
            raise ReplayError(f"unknown tag {tag[:40]!r} in a recorded value")
        if tag == "exception":
            classes = [cls for cls in self._registry.values() if issubclass(cls, BaseException)]
            return decode_error(encoded.get("v"), classes, lambda item: self.decode(item, None, depth + 1))
        name = encoded.get("type")
        cls = self._find_class(name, hint)
        if cls is None:
            message = f"{name} is not named by the annotation; register it: client.register_type(…)"
            raise ResultNotReplayableError(message, reason="type_unregistered")
        body = encoded.get("v")
        if tag != "enum":
            if not isinstance(body, dict):
                raise ReplayError(f"the fields of a recorded {tag} are not an object")
            hints = class_hints(cls)
            pairs = self._pairs(body["v"]) if body.get("$t") == "map" else body.items()
            body = {key: self.decode(item, hints.get(key), depth + 1) for key, item in pairs}
        return builder(cls, body)

    def _find_class(self, name: Any, hint: Any) -> type | None:
        for member in _members(hint):
            if isinstance(member, type) and type_name(member) == name:
                return member
        return self._registry.get(name) if isinstance(name, str) else None


def _build_dataclass(cls: Any, fields: dict[str, Any]) -> Any:
    if not (hasattr(cls, "__dataclass_fields__") or offered_fields(cls)):
        raise ReplayError(f"{type_name(cls)} is no longer a dataclass")
    value = blank(cls, without=fields.keys())
    for name in field_defaults(cls).keys() & fields.keys():
        object.__setattr__(value, name, fields[name])
    return value


def _build_model(cls: Any, fields: dict[str, Any]) -> Any:
    if not is_model(cls):
        raise ReplayError(f"{type_name(cls)} is no longer a pydantic model")
    return cls.model_construct(_fields_set=set(fields), **fields)


def _build_enum(cls: Any, name: Any) -> Any:
    if not issubclass(cls, Enum) or not isinstance(name, str):
        raise ReplayError(f"{type_name(cls)} is no longer an enum")
    try:
        return cls[name]
    except KeyError:
        raise ReplayError(f"{type_name(cls)} has no member {name[:80]!r} any more") from None


_BUILDERS: dict[str, Callable[[Any, Any], Any]] = {
    "dataclass": _build_dataclass,
    "model": _build_model,
    "enum": _build_enum,
    "exception": lambda cls, body: body,
}


def _float(body: str) -> float:
    if body not in ("nan", "inf", "-inf"):
        raise ValueError(body)
    return float(body)


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "bytes": lambda body: base64.b64decode(body, validate=True),
    "str": lambda body: base64.b64decode(body, validate=True).decode("utf-16-le", "surrogatepass"),
    "int": lambda body: int(str(body), 16 if str(body).lstrip("-").startswith("0x") else 10),
    "float": _float,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda body: timedelta(*body),
    "decimal": lambda body: Decimal(str(body)),
    "uuid": lambda body: uuid.UUID(str(body)),
    "path": lambda body: pathlib.Path(str(body)),
}


def _scalar(tag: str, body: Any) -> Any:
    try:
        return _SCALARS[tag](body)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ReplayError(f"{str(body)[:80]!r} is not a recorded {tag}") from error


def _members(hint: Any) -> tuple[Any, ...]:
    """The alternatives an annotation names: `Optional`, unions and `Annotated` taken apart."""
    if hint is None:
        return ()
    origin = typing.get_origin(hint)
    if origin is typing.Union or origin is types.UnionType:
        return tuple(member for argument in typing.get_args(hint) for member in _members(argument))
    if origin is typing.Annotated:
        return _members(typing.get_args(hint)[0])
    return (hint,)


def _item_hint(hint: Any, containers: tuple[Any, ...], position: int = 0) -> Any:
    wanted = {typing.get_origin(container) or container for container in containers}
    for member in _members(hint):
        arguments = typing.get_args(member)
        if typing.get_origin(member) in wanted and len(arguments) > position:
            return arguments[position]
    return None


@functools.lru_cache(maxsize=512)
def class_hints(cls: type) -> dict[str, Any]:
    """The types of a class's fields. One that only the type checker can see needs a registered class."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except Exception:
        hints: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            namespace = vars(sys.modules.get(base.__module__, typing))
            hints |= {name: resolve(hint, namespace) for name, hint in inspect.get_annotations(base).items()}
        return hints
