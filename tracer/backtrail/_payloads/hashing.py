"""Hashes of inputs: plain, or keyed so that nobody without the key can try out what was hashed.

    configure(hash_key=…) → **hashing** → step and run inputs, contexts

State is not among them: its hashes are over what is recorded beside them, and the server folds by them.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, NamedTuple

from backtrail.canonical import HASH_ALG, H, canonical_text

KEYED_HASH_ALG = "sorted-json-hmac-sha256/1"
_DIGITS_OF_KEY_ID = 8


class Hashing(NamedTuple):
    """How inputs are hashed. `key_id` tells keys apart and gives nothing away."""

    alg: str
    hash: Callable[[Any], str]
    key_id: str | None = None


PLAIN_HASHING = Hashing(HASH_ALG, H)


def hashing_of(key: bytes | None) -> Hashing:
    if key is None:
        return PLAIN_HASHING

    def keyed(encoded: Any) -> str:
        return hmac.digest(key, canonical_text(encoded).encode("utf-8", "surrogatepass"), "sha256").hex()

    return Hashing(KEYED_HASH_ALG, keyed, keyed(["1", "hash_key"])[:_DIGITS_OF_KEY_ID])
