"""Recorded state changes, made again: what a served step wrote is written without its body.

record's deltas → **redo** → State → the served step's own deltas
"""

from collections.abc import Mapping
from typing import Any

from backtrail._payloads.codec import Encoded
from backtrail._payloads.decode import Registry, decode
from backtrail._state.state import State
from backtrail._state.state_value import StateValue
from backtrail.errors import ReplayError


def recorded_value(encoded: Any, registry: Registry) -> StateValue:
    """A value of the record. If its class is not known here, reading it says so; a resume may never read it."""
    try:
        value = decode(encoded, None, registry)
    except ReplayError:
        return StateValue(Encoded(encoded, is_plain=True), None)
    return StateValue(Encoded(encoded), value)


def redo(state: State, delta: Mapping[str, Any], registry: Registry) -> tuple[str, list[dict[str, Any]]]:
    """Apply one delta under the run's lock; its scope, and the operations as they are from the present value on."""
    scope, recorded = delta.get("scope"), delta.get("ops")
    if not isinstance(scope, str) or not isinstance(recorded, list):
        raise ReplayError("a recorded state change is not {seq, scope, ops}")
    operations: list[dict[str, Any]] = []
    for operation in recorded:
        operations += _redo_one(state, scope, operation, registry)
    return scope, operations


def _redo_one(state: State, scope: str, operation: Any, registry: Registry) -> list[dict[str, Any]]:
    if not isinstance(operation, dict) or not isinstance(operation.get("key"), str):
        raise ReplayError("a recorded state change names no key")
    key = operation["key"]
    before = state.get(scope, key)
    if operation.get("op") == "delete":
        return state.delete(scope, key)
    encoded = _changed(operation, before.encoded if before is not None else None)
    return state.set(scope, key, recorded_value(encoded, registry))


def _changed(operation: dict[str, Any], before: Any) -> Any:
    match operation:
        case {"op": "set", "value": value}:
            return value
        case {"op": "append", "from": int(start), "values": list(values)}:
            return [*(before if isinstance(before, list) else [])[:start], *values]
        case {"op": "text", "from": int(start), "suffix": str(suffix)}:
            return (before if isinstance(before, str) else "")[:start] + suffix
        case {"op": "merge", "set": dict(changed), "delete": list(gone)}:
            kept = before if isinstance(before, dict) else {}
            return {name: value for name, value in kept.items() if name not in gone} | changed
    raise ReplayError(f"a state change of unknown kind {str(operation.get('op'))[:40]!r}")
