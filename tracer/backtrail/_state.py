"""The state of a run and its agents, and the deltas that tell how it came about.

    set_state → **diff against the encoding before** → delta on the step's span → server folds

Values are kept encoded, so what a caller does to its object afterwards changes nothing here. Each
operation carries the hash of the key before and after: a fold that misses one notices. Every method
is called under the run's lock.
"""

from __future__ import annotations

import copy
from typing import Any

from ._codec import Encoded, encode
from ._content import is_over, json_text, truncated
from ._decode import decode
from .canonical import ROOT_MODULUS, canonical_text, list_hash, root_term, root_text, text_hash

RUN_SCOPE = "run"

_SMALLEST_SNAPSHOT_DISTANCE = 16 * 1024


class StateValue:
    """One key's value: its encoding, its hash, and the object itself where the encoding has types."""

    __slots__ = ("encoded", "hash", "item_hashes", "original", "recorded")

    def __init__(self, encoded: Encoded, value: Any, limit: int | None = None) -> None:
        self.encoded = encoded.json
        self.item_hashes: list[str] | None = None
        self.original: Any = None if encoded.is_plain else _copy(value)
        if isinstance(self.encoded, list):
            texts = [canonical_text(item) for item in self.encoded]
            self.item_hashes = [text_hash(text) for text in texts]
            self.hash = list_hash(self.item_hashes)
        else:
            texts = [canonical_text(self.encoded)]
            self.hash = text_hash(texts[0])
        is_recordable = (
            limit is None or sum(map(len, texts)) * 4 <= limit or not is_over(json_text(self.encoded), limit)
        )
        # Over the limit only a stub is recorded. The hash stays that of the value, so the root still holds.
        self.recorded = self.encoded if is_recordable else truncated(json_text(self.encoded), limit or 0)

    @property
    def is_truncated(self) -> bool:
        return self.recorded is not self.encoded

    @property
    def whole(self) -> Any:
        """The encoding of the value itself, also where what is recorded is cut or redacted."""
        return self.encoded if self.original is None else encode(self.original).json

    def read(self) -> Any:
        """A copy of the value: nobody changes state by changing what they read."""
        if self.original is None:
            return decode(self.encoded)
        return _copy(self.original)


class State:
    """All keys of one run, by scope: `run`, or an agent's key.

    In a process that only joined the run, or was forked within it, the scopes are its own (`run@9f3c01ab`): what the
    others write meanwhile it cannot know, and a chain of changes has one writer. What it inherited it can read.
    """

    def __init__(self, process: str = "", *, inherited: State | None = None) -> None:
        self._process = process
        self._inherited = inherited
        self._deleted: set[tuple[str, str]] = set()
        self._values: dict[str, dict[str, StateValue]] = {}
        self._root = 0
        self._delta_bytes = 0
        self._snapshot_bytes = 0

    @property
    def root(self) -> str:
        return root_text(self._root)

    def own(self, scope: str) -> str:
        """The scope under which this process writes what it calls by this name."""
        return f"{scope}@{self._process}" if self._process else scope

    def look_up(self, scope: str, key: str) -> StateValue | None:
        """What a reader here finds under this name."""
        found = self.get(self.own(scope), key)
        if found is None and self._inherited is not None and (scope, key) not in self._deleted:
            return self._inherited.look_up(scope, key)
        return found

    def hide(self, scope: str, key: str) -> None:
        """What was inherited stays what it is elsewhere; here it is gone."""
        if self._inherited is not None:
            self._deleted.add((scope, key))

    def get(self, scope: str, key: str) -> StateValue | None:
        return self._values.get(scope, {}).get(key)

    def set(self, scope: str, key: str, value: StateValue) -> list[dict[str, Any]]:
        """Put the value there; the operation that does the same elsewhere, or none if nothing changes."""
        before = self.get(scope, key)
        if before is not None and before.hash == value.hash:
            return []
        operation = _operation(before, value)
        operation.update(key=key, prev=before.hash if before else None, hash=value.hash)
        self._replace(scope, key, value)
        return [operation]

    def delete(self, scope: str, key: str) -> list[dict[str, Any]]:
        before = self.get(scope, key)
        if before is None:
            return []
        self._replace(scope, key, None)
        return [{"op": "delete", "key": key, "prev": before.hash, "hash": None}]

    def _replace(self, scope: str, key: str, value: StateValue | None) -> None:
        keys = self._values.setdefault(scope, {})
        before = keys.pop(key, None)
        total = self._root - (root_term(scope, key, before.hash) if before else 0)
        if value is not None:
            keys[key] = value
            total += root_term(scope, key, value.hash)
        self._root = total % ROOT_MODULUS

    def values(self) -> dict[str, dict[str, Any]]:
        """The whole state, encoded: what a snapshot holds."""
        return {scope: {key: value.recorded for key, value in keys.items()} for scope, keys in self._values.items()}

    def encoded(self, scope: str) -> dict[str, Any]:
        """All that a reader here finds in a scope, encoded; for the user's own use, not for a recording."""
        inherited = self._inherited.encoded(scope) if self._inherited is not None else {}
        found = {key: value for key, value in inherited.items() if (scope, key) not in self._deleted}
        return found | {key: value.whole for key, value in self._values.get(self.own(scope), {}).items()}

    def grew_by(self, delta_bytes: int) -> bool:
        """Count the bytes of a delta; whether a snapshot is due, by the rule that keeps a run's storage linear."""
        self._delta_bytes += delta_bytes
        return self._delta_bytes > max(self._snapshot_bytes, _SMALLEST_SNAPSHOT_DISTANCE)

    def snapshot_taken(self, snapshot_bytes: int) -> None:
        self._delta_bytes, self._snapshot_bytes = 0, snapshot_bytes


def _operation(before: StateValue | None, after: StateValue) -> dict[str, Any]:
    new: Any = after.recorded
    if before is None or before.is_truncated or after.is_truncated:
        return {"op": "set", "value": new}
    old: Any = before.encoded
    if before.item_hashes is not None and after.item_hashes is not None:
        count = len(before.item_hashes)
        if after.item_hashes[:count] == before.item_hashes:
            return {"op": "append", "from": count, "values": new[count:]}
    elif isinstance(old, str) and old and isinstance(new, str) and new.startswith(old):
        return {"op": "text", "from": len(old), "suffix": new[len(old) :]}
    elif isinstance(old, dict) and isinstance(new, dict) and "$t" not in old and "$t" not in new:
        changed = {k: v for k, v in new.items() if k not in old or json_text(v) != json_text(old[k])}
        gone = [k for k in old if k not in new]
        if len(changed) + len(gone) < len(new):
            return {"op": "merge", "set": changed, "delete": gone}
    return {"op": "set", "value": new}


def _copy(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:
        # A service or a socket: what cannot be copied is handed on as it is.
        return value
