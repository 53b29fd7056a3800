"""One text for one value: what every hash in Backtrail is taken over, on both sides of the wire.

    value → codec.encode → **canonical_text → H** → step keys, input hashes, state roots

Pure and free of imports beyond the standard library, because the server folds state with the same
rules the SDK recorded it by. Everything here takes *encoded* values (see `codec`): plain JSON, in
which big integers, NaN, odd strings and maps with odd keys are already tagged.
"""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

HASH_ALG = "sorted-json-sha256/1"

ROOT_MODULUS = 1 << 256

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_make_writer = getattr(json.encoder, "c_make_encoder", None)
# What `_encode` makes anew at each call, and what takes longer than a small value: the writer behind it.
_write = _make_writer and _make_writer(
    None, json.JSONEncoder().default, json.encoder.encode_basestring, None, ":", ",", True, False, True
)


def canonical_text(encoded: Any) -> str:
    """The JSON text with sorted keys and without spaces."""
    return "".join(_write(encoded, 0)) if _write is not None else _encode(encoded)


def text_hash(text: str) -> str:
    # A name may hold half a surrogate pair; a hash over it must still come out, and be the same everywhere.
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def H(encoded: Any) -> str:
    return text_hash(canonical_text(encoded))


def list_hash(item_hashes: Iterable[str]) -> str:
    """A list's hash is taken over its items' hashes, so that appending costs one item."""
    return H(list(item_hashes))


def value_hash(encoded: Any) -> str:
    """The hash of one state value: lists by their items, anything else directly."""
    if isinstance(encoded, list):
        return list_hash(H(item) for item in encoded)
    return H(encoded)


def root_term(scope: str, key: str, hashed_value: str) -> int:
    """What one key adds to the root; the root is the sum of all terms modulo 2^256."""
    return int(H([scope, key, hashed_value]), 16)


def state_root(values: dict[str, dict[str, Any]]) -> str:
    """The root of a whole state: `{scope: {key: encoded value}}`, in any order."""
    total = sum(
        root_term(scope, key, value_hash(encoded)) for scope, keys in values.items() for key, encoded in keys.items()
    )
    return root_text(total)


def root_text(total: int) -> str:
    return f"{total % ROOT_MODULUS:064x}"
