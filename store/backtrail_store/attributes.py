"""Attribute texts back to values of their own type.

    spans.attributes, spans.payloads, contents → **attributes** → rows

ClickHouse keeps every value as text with the name of its type beside it; strings, the common case, have no entry.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence

from backtrail_store.rows import AttributeValue
from backtrail_store.values import read_json

_READ: dict[str, Callable[[str], AttributeValue]] = {
    "int": int,
    "double": float,
    "bool": lambda text: text == "true",
    "array": json.loads,
    "json": read_json,
    "bytes": b64decode,
    "empty": lambda text: None,
}
_JOINTS = {"list": ",", "spaced list": ", "}


def read_values(texts: Mapping[str, str], types: Mapping[str, str]) -> dict[str, AttributeValue]:
    """All attributes of one span, event, link or resource in their own types."""
    values: dict[str, AttributeValue] = dict(texts)
    for key, kind in types.items():
        if key in values:
            values[key] = _READ[kind](texts[key])
    return values


def join_payload(form: str, hashes: Sequence[int], contents: Mapping[int, str]) -> str | None:
    """A payload's text from its pieces, byte for byte as it came (see backtrail_pieces); None if one is gone.

    Contents may age out before their spans do.
    """
    try:
        pieces = [contents[piece] for piece in hashes]
    except KeyError:
        return None
    joint = _JOINTS.get(form)
    return pieces[0] if joint is None else f"[{joint.join(pieces)}]"
