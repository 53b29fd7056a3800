"""ctx.restore_from_checkpoint: back to a checkpoint, whose finished steps answer from the record.

    ctx.restore_from_checkpoint → Client (HTTP) → bundle at the checkpoint → **state, records** → later steps

The state is set to what a resume from there would rebuild. A checkpoint of another run brings that run's records: its
steps begun by then are served, and since the state holds what they wrote, they do not write it again.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from backtrail._contexts.current import get_current_client
from backtrail._payloads.content import json_text
from backtrail._replay.redo import recorded_value
from backtrail._replay.replayed_run import replay_link, start_attributes
from backtrail._runs.scope import Position
from backtrail.errors import (
    ApiError,
    CheckpointError,
    CheckpointGapError,
    CheckpointNotFoundError,
    ReplayError,
    ServerUnreachableError,
)

from .deltas import emit

if TYPE_CHECKING:
    from backtrail._replay.bundle import Bundle
    from backtrail._runs.run import RunRuntime

Values = dict[str, dict[str, Any]]

_CHECKPOINT_ID = re.compile(r"([0-9a-f]{32})-(\d+)")


async def restore_from_checkpoint(position: Position, checkpoint_id: str) -> None:
    bundle = await asyncio.to_thread(_load, checkpoint_id)
    _restore(position, bundle)


def restore_from_checkpoint_sync(position: Position, checkpoint_id: str) -> None:
    _restore(position, _load(checkpoint_id))


def _load(checkpoint_id: str) -> Bundle:
    """The record of the checkpoint's run up to there. CheckpointError if it cannot be had."""
    named = _CHECKPOINT_ID.fullmatch(checkpoint_id) if isinstance(checkpoint_id, str) else None
    if named is None:
        raise CheckpointNotFoundError(
            f"{checkpoint_id!r} is no checkpoint id; ctx.checkpoint() and client.list_checkpoints() give them"
        )
    try:
        return get_current_client().get_replay_bundle(named[1], at=f"checkpoint:{checkpoint_id}")
    except ApiError as error:
        if error.status == 404:
            raise CheckpointNotFoundError(f"no checkpoint {checkpoint_id}: {error}") from error
        raise CheckpointError(f"checkpoint {checkpoint_id} could not be loaded: {error}") from error
    except ServerUnreachableError as error:
        raise CheckpointError(f"checkpoint {checkpoint_id} could not be loaded: {error}") from error


def _restore(position: Position, bundle: Bundle) -> None:
    runtime = position.runtime
    values = _values(bundle)
    seq = bundle.target.seq or 0
    if runtime.replay is not None:
        # A replay of a run that did this has the checkpoint's run among its ancestors.
        runtime.replay.state_holds(seq, bundle.run.run_id)
    elif bundle.run.run_id != runtime.run_id:
        _install(runtime, bundle, seq)
    with runtime.lock:
        runtime.is_restored = True
        _set_state(runtime, values)


def _values(bundle: Bundle) -> Values:
    if bundle.state is None:
        raise CheckpointGapError(f"{bundle.target.at} cannot be restored: records before it are missing")
    match bundle.state:
        case {"values": dict(values)} if all(isinstance(keys, dict) for keys in values.values()):
            return values  # type: ignore[return-value]  # the pattern says so
    raise ReplayError(f"the state at {bundle.target.at} has the wrong shape")


def _install(runtime: RunRuntime, bundle: Bundle, seq: int) -> None:
    """From here on this run is a replay of the checkpoint's."""
    from backtrail._replay.replay import Replay

    replay = Replay(bundle, registry=get_current_client().types)
    replay.state_holds(seq)
    runtime.span.attributes.update(start_attributes(replay))
    runtime.span.links = (*runtime.span.links, replay_link(replay))
    runtime.replay = replay


def _set_state(runtime: RunRuntime, values: Values) -> None:
    """Make the state these values and no others, and leave a record of how. Called under the run's lock."""
    registry = get_current_client().types
    limit = runtime.recorder.max_payload_bytes // 2
    deltas: list[dict[str, Any]] = []
    size = 0
    for scope, operations in _operations(runtime, values, registry):
        if not operations:
            continue
        runtime.seq += 1
        delta = {"seq": runtime.seq, "scope": scope, "ops": operations}
        delta_size = len(json_text(delta))
        if deltas and size + delta_size > limit:
            emit(runtime, deltas, reason="restore")
            deltas, size = [], 0
        deltas.append(delta)
        size += delta_size
    if deltas:
        emit(runtime, deltas, reason="restore")


def _operations(
    runtime: RunRuntime, values: Values, registry: dict[str, type]
) -> list[tuple[str, list[dict[str, Any]]]]:
    state = runtime.state
    changes = []
    for scope, keys in state.values().items():
        changes += [(scope, state.delete(scope, key)) for key in keys if key not in values.get(scope, {})]
    for scope, keys in values.items():
        changes += [(scope, state.set(scope, key, recorded_value(encoded, registry))) for key, encoded in keys.items()]
    return changes
