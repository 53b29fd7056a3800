"""Changes of state become deltas: on the span of the step that made them, or on spans of their own.

ctx.set_state → **deltas** → backtrail.step.deltas or a `state` span → server folds
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backtrail import semconv
from backtrail._boundary import never_raise
from backtrail._payloads.content import json_text, payload_text
from backtrail._runs.scope import Position
from backtrail.errors import ReplayError

from .checkpoint import snapshot
from .state_value import StateValue

if TYPE_CHECKING:
    from backtrail._contexts.step_context import StepContext
    from backtrail._runs.run import RunRuntime


_reading = never_raise("reading state", lets=(ReplayError,))


def set_state(runtime: RunRuntime, scope: str, key: str, value: Any, position: Position | None) -> None:
    with never_raise("setting state"):
        key = runtime.recorder.redaction.name(key)
        own = runtime.state.own(scope)
        with runtime.lock:
            before = runtime.state.get(own, key)
        # Outside the lock: reading an object of the program's may run code of the program's.
        new = StateValue.of(value, runtime, before)
        with runtime.lock:
            record_delta(runtime, own, runtime.state.set(own, key, new), position)


def delete_state(runtime: RunRuntime, scope: str, key: str, position: Position | None) -> None:
    with never_raise("deleting state"), runtime.lock:
        key = runtime.recorder.redaction.name(key)
        own = runtime.state.own(scope)
        record_delta(runtime, own, runtime.state.delete(own, key), position)
        runtime.state.hide(scope, key)


def get_state(runtime: RunRuntime, scope: str, key: str, default: Any) -> Any:
    with _reading:
        with runtime.lock:
            value = runtime.state.look_up(scope, runtime.recorder.redaction.name(key))
        return default if value is None else value.read()
    return default


def has_state(runtime: RunRuntime, scope: str, key: str) -> bool:
    with _reading, runtime.lock:
        return runtime.state.look_up(scope, runtime.recorder.redaction.name(key)) is not None
    return False


def record_delta(runtime: RunRuntime, scope: str, operations: list[dict[str, Any]], position: Position | None) -> None:
    """What a change leaves behind. Called under the run's lock, like the change itself."""
    if not operations:
        return
    runtime.seq += 1
    delta = {"seq": runtime.seq, "scope": scope, "ops": operations}
    size = len(json_text(delta))
    step = position.step if position is not None and position.runtime is runtime else None
    if step is not None and step.status == "open" and size <= runtime.recorder.max_payload_bytes // 2:
        add_to_step(step, delta, size)
        runtime.writing_steps[step.call.step_key] = None
    else:
        emit(runtime, [delta], step)
    if runtime.state.grew_by(size):
        snapshot(runtime)


def add_to_step(step: StepContext, delta: dict[str, Any], size: int) -> None:
    """Keep the delta for the step's span; over the limit, those so far go out by themselves."""
    if step.deltas is None:
        step.deltas = []
    elif step.bytes_of_deltas + size > step.runtime.recorder.max_payload_bytes // 2:
        emit(step.runtime, step.deltas, step)
        step.deltas, step.bytes_of_deltas = [], 0
    step.deltas.append(delta)
    step.bytes_of_deltas += size


def emit(
    runtime: RunRuntime, deltas: list[dict[str, Any]], step: StepContext | None = None, reason: str = "set"
) -> None:
    """Deltas as a span of their own."""
    attributes = {
        **(step.agent_context.attributes if step is not None else runtime.attributes),
        semconv.KIND: "state",
        semconv.PROCESS: runtime.recorder.process,
        semconv.NUMBER: runtime.next_number(),
        semconv.STATE_DELTAS: payload_text(deltas, runtime.recorder.max_payload_bytes),
        semconv.STATE_ROOT: runtime.state.root,
        semconv.STATE_REASON: reason,
        semconv.STATE_SEQ: deltas[-1]["seq"],
    }
    if step is not None:
        attributes[semconv.STEP_KEY] = step.call.step_key
    runtime.recorder.point("set_state", runtime.parent_span(), attributes)
