"""What of an encoded value is recorded, and its text: nothing confidential, nothing that is too long.

    codec.encode → **recorded** → hash, payload text → span

This is on the way of every step, so the ordinary value is written once, searched once, and found to be fine.
"""

from __future__ import annotations

import operator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from backtrail import _late

from .codec import encode
from .content import HEAD_BYTES, json_text, limited
from .redaction import Redaction

if TYPE_CHECKING:
    from backtrail._spans.recorder import Recorder

_CHUNK = 1 << 20
_MARGIN = 1_024  # of a secret that begins within the head and ends after it


def recorded(json: Any, recorder: Recorder) -> tuple[Any, str]:
    """The same object if there is nothing to be done."""
    data = _late.pydantic_core.to_json(json)
    if len(data) > recorder.max_payload_bytes:
        del data
        json = _Shortening(recorder.max_payload_bytes, recorder.redaction).value(json)
        data = _late.pydantic_core.to_json(json)
    text = data.decode()
    if recorder.redaction.is_suspect(text):
        redacted = recorder.redaction.json(json)
        if redacted is not json:
            return redacted, json_text(redacted)
    return json, text


def recorded_text(value: Any, recorder: Recorder) -> str:
    """A value of the user's as the text of a payload attribute."""
    longest = recorder.max_payload_bytes
    return limited(recorded(encode(value, longest).json, recorder)[1], longest)


class _Shortening:
    """Long strings become their length, hash and head where they stand: no second copy of a hundred megabytes."""

    def __init__(self, limit: int, redaction: Redaction) -> None:
        self._limit = limit
        self._redaction = redaction

    def value(self, json: Any) -> Any:
        if isinstance(json, str):
            return json if len(json) <= self._limit else self._stub(json)
        if isinstance(json, list):
            items = [self.value(item) for item in json]
            return json if all(map(operator.is_, items, json)) else items
        if isinstance(json, dict):
            if "$t" in json and isinstance(json.get("v"), str) and len(json["v"]) > self._limit:
                return self._stub(json["v"])
            fields = {name: self.value(item) for name, item in json.items()}
            return json if all(map(operator.is_, fields.values(), json.values())) else fields
        return json

    def _stub(self, text: str) -> dict[str, Any]:
        longest = min(HEAD_BYTES, self._limit // 8)
        head = self._redaction.text(text[: longest + _MARGIN])[:longest]
        size, digest = 0, sha256()
        for start in range(0, len(text), _CHUNK):
            data = text[start : start + _CHUNK].encode("utf-8", "surrogatepass")
            digest.update(data)
            size += len(data)
        return {"$t": "truncated", "v": {"bytes": size, "sha256": digest.hexdigest(), "head": head}}
