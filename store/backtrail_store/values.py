"""OTLP's values as JSON and back, exactly: the one place that says how.

    flatten → **values** → otlp_in … spans, contents → attributes, trace_json → API

string, bool, int64   the same; an integer has neither point nor exponent, and may be beyond 2^53
double                a number with a point or an exponent, 1.0, -0.0, 1e+300;
                      and {"$double": "NaN"}, {"$double": "Infinity"}, {"$double": "-Infinity"}
bytes                 {"$bytes": base64}
empty                 null
list, map             list, object; of a key that stands twice the last value counts

A map of the sender's own that could be taken for one of these, a single key `$bytes` or `$double`, gets one more `$`
in front, and so does one whose key already has more: reading takes one away. All other keys stay as they are, empty
ones, dots, `$ref` and `__proto__` too.
"""

import json
import math
import re
from base64 import b64decode, b64encode

from backtrail_store.rows import AttributeValue

JsonValue = str | bool | int | float | list["JsonValue"] | dict[str, "JsonValue"] | None

_TAG = re.compile(r"\$+(bytes|double)")


def write_json(value: AttributeValue) -> str:
    return json.dumps(json_value(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def read_json(text: str) -> AttributeValue:
    """The value `write_json` was given. Raises ValueError for what it never wrote."""
    value: AttributeValue = json.loads(text, object_hook=_untagged)
    return value


def json_value(value: AttributeValue) -> JsonValue:
    """The same as an object that any JSON library can write."""
    match value:
        case float():
            return value if math.isfinite(value) else {"$double": double_name(value)}
        case bytes():
            return {"$bytes": b64encode(value).decode()}
        case list():
            return [json_value(element) for element in value]
        case dict():
            members = {key: json_value(member) for key, member in value.items()}
            return {f"${key}": member for key, member in members.items()} if _looks_tagged(members) else members
        case _:
            return value


def double_name(value: float) -> str:
    """What JSON has no number for."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _looks_tagged(members: dict[str, JsonValue]) -> bool:
    return len(members) == 1 and _TAG.fullmatch(next(iter(members))) is not None


def _untagged(members: dict[str, AttributeValue]) -> AttributeValue:
    if len(members) != 1:
        return members
    [(key, member)] = members.items()
    if key == "$bytes" and isinstance(member, str):
        return b64decode(member, validate=True)
    if key == "$double" and isinstance(member, str):
        return float(member)
    return {key[1:]: member} if _TAG.fullmatch(key) else members
