"""Values ↔ JSON with type tags: one encoding for hashing, storage and state.

    user's value → **encode** → JSON text on a span → server → replay → **decode** → user's value

JSON values stand as they are; everything else becomes `{"$t": tag, "v": …}`, classes with their
name under `"type"`. No pickle and no import by name: a class is rebuilt only if the annotation it
is decoded for names it, or if it was registered. A value nobody can rebuild (a client, a socket) is
kept as its type's name and makes the whole payload unreplayable, with a reason.
"""

import base64
import dataclasses
import functools
import itertools
import math
import sys
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from backtrail._calls.modules import module_name
from backtrail._contexts.fields import offered_fields
from backtrail.canonical import canonical_text

from .content import DEFAULT_MAX_PAYLOAD_BYTES
from .problems import COUNTED_FROM, SMALLEST_ROOM, TAG_BYTES, Problems, Service
from .recorded_errors import encode_error

if TYPE_CHECKING:
    from pydantic import BaseModel

MAX_DEPTH = 64
_EXACT_INT = 1 << 53
_MOST_BITS, _MOST_ITEMS = 14_000, 1_000_000


class Encoded(NamedTuple):
    """A value as JSON, and whether the value can come back from it."""

    json: Any
    replayable: bool = True
    reason: str = ""
    detail: str = ""
    is_plain: bool = False


def encode(value: Any, longest: int = DEFAULT_MAX_PAYLOAD_BYTES) -> Encoded:
    """Any value as JSON. Never raises: what cannot be encoded is opaque. Bytes are kept up to the `longest`."""
    problems = Problems(longest, max(longest, SMALLEST_ROOM))
    json = _encode(value, problems, 0)
    return Encoded(json, not problems.reason, problems.reason, problems.detail, not problems.is_tagged)


def type_name(cls: type) -> str:
    try:
        return f"{module_name(cls)}:{cls.__qualname__}"
    except Exception:
        return "unknown:unknown"  # a metaclass of the user's has a say in both


def is_model(cls: type) -> "TypeGuard[type[BaseModel]]":
    """Whether this is a pydantic model. Asked without importing them, which takes as long as the rest of the SDK."""
    models = getattr(sys.modules.get("pydantic.main"), "BaseModel", None)
    return models is not None and issubclass(cls, models)


def _encode(value: Any, problems: Problems, depth: int) -> Any:
    cls = type(value)
    if cls is str:
        return value if value.isascii() else _encode_str(value, problems)
    if cls is bool or value is None:
        return value
    if depth > MAX_DEPTH:
        problems.found_no_end()
        return _opaque(value, problems, "too_deep")
    if problems.room < 0:
        return _opaque(value, problems, "too_large")
    try:
        encoder = _ENCODERS.get(cls) or _find_encoder(cls)  # type: ignore[arg-type]
        return encoder(value, problems, depth)
    except Service:
        raise
    except Exception:
        # A hostile property, or a container that another thread changes while it is read.
        return _encode_again(value, problems, depth)


def _encode_again(value: Any, problems: Problems, depth: int) -> Any:
    try:
        if type(value) is dict:
            return _encode_dict(value.copy(), problems, depth)
        if type(value) is set:
            return _encode_set(value.copy(), problems, depth)
    except Service:
        raise
    except Exception:
        return _opaque(value, problems)
    return _opaque(value, problems)


def _encode_str(value: str, problems: Problems) -> Any:
    if is_clean(value):
        return value
    return _tagged("str", base64.b64encode(value.encode("utf-16-le", "surrogatepass")).decode(), problems)


def is_clean(text: str) -> bool:
    """Whether the text can travel as UTF-8; half a surrogate pair cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _tagged(tag: str, json: Any, problems: Problems, cls: type | None = None) -> dict[str, Any]:
    problems.is_tagged = True
    problems.room -= TAG_BYTES
    if cls is None:
        return {"$t": tag, "v": json}
    return {"$t": tag, "type": type_name(cls), "v": json}


def _opaque(value: Any, problems: Problems, reason: str = "opaque") -> dict[str, Any]:
    name = type_name(type(value))
    problems.is_tagged = True
    problems.add(reason, name)
    return {"$t": "opaque", "type": name}


def _encode_int(value: int, problems: Problems, _: int) -> Any:
    value = int.__int__(value)  # a subclass may compare as it likes
    if -_EXACT_INT < value < _EXACT_INT:
        return value
    # Python refuses to write thousands of digits in any base but these.
    text = str(value) if value.bit_length() < _MOST_BITS else hex(value)
    return _tagged("int", text, problems)


def _encode_float(value: float, problems: Problems, _: int) -> Any:
    value = float.__float__(value)
    return value if math.isfinite(value) else _tagged("float", str(value), problems)


def _encode_list(value: Any, problems: Problems, depth: int) -> list[Any]:
    encoded = [_encode(item, problems, depth + 1) for item in value]
    if depth > COUNTED_FROM:
        problems.room -= 2 * len(encoded)
    return encoded


def _encode_dict(value: Mapping[Any, Any], problems: Problems, depth: int) -> Any:
    encoded = {}
    for key, item in value.items():
        if type(key) is not str or key == "$t" or not (key.isascii() or is_clean(key)):
            return _encode_map(value, problems, depth)
        encoded[key] = _encode(item, problems, depth + 1)
    if depth > COUNTED_FROM:
        problems.room -= 6 * len(encoded)
    return encoded


def _encode_map(value: Mapping[Any, Any], problems: Problems, depth: int) -> dict[str, Any]:
    pairs = [[_encode(k, problems, depth + 1), _encode(v, problems, depth + 1)] for k, v in value.items()]
    problems.room -= 6 * len(pairs)
    return _tagged("map", pairs, problems)


def _encode_mapping(value: Mapping[Any, Any], problems: Problems, depth: int) -> Any:
    """A mapping of some class of its own: data, or a service that can also be read as one, as a web request can."""
    pairs = dict(itertools.islice(value.items(), _MOST_ITEMS))
    if len(pairs) == _MOST_ITEMS:
        problems.add("too_large", type_name(type(value)))
    within = Problems(problems.longest, problems.room, may_hold_services=False)
    try:
        encoded = _encode_dict(pairs, within, depth)
    except Service:
        return _opaque(value, problems)
    problems.room, problems.is_tagged = within.room, problems.is_tagged or within.is_tagged
    return encoded


def _encode_tuple(value: Any, problems: Problems, depth: int) -> dict[str, Any]:
    return _tagged("tuple", _encode_list(value, problems, depth), problems)


def _encode_set(value: Any, problems: Problems, depth: int) -> dict[str, Any]:
    own = frozenset if isinstance(value, frozenset) else set
    items = _encode_list(own.__iter__(value), problems, depth)
    return _tagged(own.__name__, sorted(items, key=canonical_text), problems)


def _encode_bytes(value: Any, problems: Problems, _: int) -> dict[str, Any]:
    data = memoryview(value)
    if data.nbytes > problems.longest:
        problems.add("too_large", type_name(type(value)))
        stub = {"bytes": data.nbytes, "sha256": sha256(data).hexdigest(), "head": "bytes"}
        return _tagged("truncated", stub, problems)
    return _tagged("bytes", base64.b64encode(bytes(value)).decode(), problems)


def _encode_timedelta(value: timedelta, problems: Problems, _: int) -> dict[str, Any]:
    return _tagged("timedelta", [value.days, value.seconds, value.microseconds], problems)


def _encode_enum(value: Enum, problems: Problems, _: int) -> dict[str, Any]:
    return _tagged("enum", value.name, problems, type(value))


def _encode_dataclass(value: Any, problems: Problems, depth: int) -> dict[str, Any]:
    fields = {f.name: _encode_field(value, f.name, problems, depth) for f in dataclasses.fields(value)}
    return _tagged("dataclass", fields, problems, type(value))


def _encode_own_context(value: Any, problems: Problems, depth: int) -> dict[str, Any]:
    """A context of ours that no user made a dataclass of; a reader cannot tell the difference."""
    fields = {name: _encode_field(value, name, problems, depth) for name in offered_fields(type(value))}
    return _tagged("dataclass", fields, problems, type(value))


def _encode_field(value: Any, name: str, problems: Problems, depth: int) -> Any:
    try:
        field = getattr(value, name)
    except Exception:
        problems.add("opaque", f"{type_name(type(value))}.{name}")
        return _tagged("opaque", None, problems)
    return _encode(field, problems, depth + 1)


def _encode_model(value: "BaseModel", problems: Problems, depth: int) -> dict[str, Any]:
    fields = {**value.__dict__, **(value.__pydantic_extra__ or {})}
    return _tagged("model", _encode_dict(fields, problems, depth), problems, type(value))


def _encode_exception(value: BaseException, problems: Problems, depth: int) -> dict[str, Any]:
    encoded = encode_error(value, lambda item: _encode(item, problems, depth + 1))
    return _tagged("exception", encoded, problems, type(value))


def _as_text(tag: str, text: Callable[[Any], str]) -> "_Encoder":
    return lambda value, problems, _: _tagged(tag, text(value), problems)


_Encoder = Callable[[Any, Problems, int], Any]

# Order matters: an enum may also be a str, a datetime is also a date.
_FAMILIES: tuple[tuple[type | tuple[type, ...], _Encoder], ...] = (
    (Enum, _encode_enum),
    (BaseException, _encode_exception),
    (str, lambda value, problems, _: _encode_str(str.__str__(value), problems)),
    (int, _encode_int),
    (float, _encode_float),
    # What a container really holds; a subclass may tell of it as it likes, without end even.
    (tuple, lambda value, problems, depth: _encode_tuple(tuple.__iter__(value), problems, depth)),
    (list, lambda value, problems, depth: _encode_list(list.__iter__(value), problems, depth)),
    (deque, lambda value, problems, depth: _encode_list(deque.__iter__(value), problems, depth)),
    ((set, frozenset), _encode_set),
    (dict, lambda value, problems, depth: _encode_dict(dict(dict.items(value)), problems, depth)),
    (Mapping, _encode_mapping),
    ((bytes, bytearray, memoryview), _encode_bytes),
    (datetime, _as_text("datetime", datetime.isoformat)),
    (date, _as_text("date", date.isoformat)),
    (time, _as_text("time", time.isoformat)),
    (timedelta, _encode_timedelta),
    (Decimal, _as_text("decimal", str)),
    (uuid.UUID, _as_text("uuid", str)),
    (PurePath, _as_text("path", str)),
)

_ENCODERS: dict[type, _Encoder] = {
    int: _encode_int,
    float: _encode_float,
    list: _encode_list,
    dict: _encode_dict,
    tuple: _encode_tuple,
}


# Bounded: a program may make classes as it goes, a mock one for each object.
@functools.lru_cache(maxsize=1_024)
def _find_encoder(cls: type) -> _Encoder:
    if dataclasses.is_dataclass(cls):
        return _encode_dataclass
    if is_model(cls):
        return _encode_model
    if offered_fields(cls):
        return _encode_own_context
    for family, encoder in _FAMILIES:
        if issubclass(cls, family):
            return encoder
    return lambda value, problems, _: _opaque(value, problems)
