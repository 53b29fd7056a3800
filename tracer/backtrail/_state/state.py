"""The state of a run and its agents, and the deltas that tell how it came about.

    set_state → **diff against the encoding before** → delta on the step's span → server folds

Values are kept encoded, so what a caller does to its object afterwards changes nothing here. Each
operation carries the hash of the key before and after: a fold that misses one notices. Every method
is called under the run's lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backtrail._payloads.content import json_text
from backtrail.canonical import ROOT_MODULUS, root_term, root_text

from .state_value import StateValue

RUN_SCOPE = "run"

_SMALLEST_SNAPSHOT_DISTANCE = 16 * 1024


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
        if before is not None and before.hash == value.hash and _has_same_order(before, value):
            # Nothing to record; what the program changes in place from now on is this object.
            before.handed = value.handed
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

    def __iter__(self) -> Iterator[tuple[str, str, StateValue]]:
        return ((scope, key, value) for scope, keys in self._values.items() for key, value in list(keys.items()))

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


def _has_same_order(before: StateValue, after: StateValue) -> bool:
    """Whether values of equal hash have their keys in the same order too: hashes are blind to it."""
    return before.encoded is after.encoded or json_text(before.encoded) == json_text(after.encoded)


def _operation(before: StateValue | None, after: StateValue) -> dict[str, Any]:
    new: Any = after.recorded
    if before is None or before.is_truncated or after.is_truncated:
        return {"op": "set", "value": new}
    old: Any = before.encoded
    if before.item_hashes is not None and after.item_hashes is not None:
        count = len(before.item_hashes)
        if after.item_hashes[:count] == before.item_hashes and all(map(_is_same_text, old, new)):
            return {"op": "append", "from": count, "values": new[count:]}
    elif isinstance(old, str) and old and isinstance(new, str) and new.startswith(old):
        return {"op": "text", "from": len(old), "suffix": new[len(old) :]}
    elif isinstance(old, dict) and isinstance(new, dict) and "$t" not in old and "$t" not in new:
        changed = {k: v for k, v in new.items() if k not in old or not _is_same_text(v, old[k])}
        gone = [k for k in old if k not in new]
        merged = {k: None for k in old if k in new} | dict.fromkeys(changed)
        if len(changed) + len(gone) < len(new) and list(merged) == list(new):
            return {"op": "merge", "set": changed, "delete": gone}
    return {"op": "set", "value": new}


def _is_same_text(one: Any, other: Any) -> bool:
    return one is other or json_text(one) == json_text(other)
