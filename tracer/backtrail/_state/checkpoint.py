"""Checkpoints: the whole state of a run at one moment, as spans.

    checkpoint() or the byte rule → **snapshot** → checkpoint spans → server folds from there

A snapshot over the payload limit is cut by key into parts. An explicit checkpoint returns when the
server has acknowledged it and everything before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backtrail import _late, semconv
from backtrail._boundary import logger, never_raise
from backtrail._payloads.content import is_over, json_text, truncated
from backtrail._payloads.recorded_payload import recorded_text
from backtrail._runs.scope import Position
from backtrail.errors import CheckpointError

from .mutations import note_mutations

if TYPE_CHECKING:
    from backtrail._runs.run import RunRuntime

ACKNOWLEDGEMENT_SECONDS = 10.0

Values = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint as its maker sees it."""

    checkpoint_id: str
    name: str
    seq: int
    root: str
    extra: dict[str, Any] | None = None
    is_durable: bool = False


def snapshot(
    runtime: RunRuntime,
    *,
    name: str = "",
    seq: int | None = None,
    occurrence: int | None = None,
    extra: dict[str, Any] | None = None,
    is_auto: bool = True,
) -> Checkpoint:
    """Emit the state as it is now. Called under the run's lock, so that nothing is written in between."""
    limit, redaction = runtime.recorder.max_payload_bytes, runtime.recorder.redaction
    number_seq = runtime.tick() if seq is None else seq
    # Of two processes each has its own clock, and one process its own scopes.
    checkpoint_id = runtime.state.own(f"{runtime.run_id}-{number_seq}")
    checkpoint = Checkpoint(
        checkpoint_id=checkpoint_id, name=name, seq=number_seq, root=runtime.state.root, extra=extra
    )
    shared: dict[str, Any] = {
        **runtime.attributes,
        semconv.KIND: "checkpoint",
        semconv.PROCESS: runtime.recorder.process,
        semconv.CHECKPOINT_ID: checkpoint.checkpoint_id,
        semconv.CHECKPOINT_NAME: redaction.text(name),
        semconv.CHECKPOINT_ROOT: checkpoint.root,
        semconv.CHECKPOINT_SEQ: number_seq,
        semconv.CHECKPOINT_AUTO: is_auto,
        semconv.CHECKPOINT_OPEN_STEPS: json_text(list(runtime.writing_steps)),
    }
    if runtime.last_step_key is not None:
        shared[semconv.CHECKPOINT_AFTER_STEP_KEY] = runtime.last_step_key
    if occurrence is not None:
        shared[semconv.CHECKPOINT_OCCURRENCE] = occurrence
    if extra is not None:
        shared[semconv.CHECKPOINT_EXTRA] = recorded_text(extra, runtime.recorder)
    parts = list(cut(runtime.state.values(), limit))
    for part, text in enumerate(parts, start=1):
        own = {
            semconv.CHECKPOINT_VALUES: text,
            semconv.CHECKPOINT_PART: part,
            semconv.CHECKPOINT_PARTS: len(parts),
            semconv.NUMBER: runtime.next_number(),
        }
        runtime.recorder.point(f"checkpoint {redaction.text(name)}".rstrip(), runtime.span.context, {**shared, **own})
    runtime.state.snapshot_taken(sum(map(len, parts)))
    return checkpoint


async def checkpoint(position: Position, name: str, extra: dict[str, Any] | None) -> Checkpoint:
    """Take an explicit checkpoint, and return when the server has it."""
    taken = _take(position, name, extra)
    loop = _late.asyncio.get_running_loop()
    flush = position.runtime.recorder.flush
    return _acknowledged(position, taken, await loop.run_in_executor(None, flush, ACKNOWLEDGEMENT_SECONDS))


def checkpoint_sync(position: Position, name: str, extra: dict[str, Any] | None) -> Checkpoint:
    taken = _take(position, name, extra)
    return _acknowledged(position, taken, position.runtime.recorder.flush(ACKNOWLEDGEMENT_SECONDS))


def _take(position: Position, name: str, extra: dict[str, Any] | None) -> Checkpoint:
    runtime, agent = position.runtime, position.agent
    with never_raise("taking a checkpoint"), runtime.lock:
        runtime.recorder.keep(runtime.trace_id)
        occurrence = position.scope.count((f"checkpoint:{name}", agent.key if agent else None))
        note_mutations(runtime, position)
        return snapshot(runtime, name=name, occurrence=occurrence, extra=extra, is_auto=False)
    return Checkpoint(checkpoint_id="", name=name, seq=runtime.seq, root="")


def _acknowledged(position: Position, taken: Checkpoint, is_durable: bool) -> Checkpoint:
    recorder = position.runtime.recorder
    with never_raise("waiting for a checkpoint", lets=(CheckpointError,)):
        if not recorder.is_sent(position.runtime.trace_id):
            return taken
        if not is_durable and recorder.sink is not None:
            message = f"checkpoint {taken.name or taken.checkpoint_id} was not acknowledged by the server"
            if never_raise.is_strict:
                raise CheckpointError(message)
            logger.warning("%s; it will be sent when the server is back", message)
    return replace(taken, is_durable=is_durable)


def cut(values: Values, limit: int) -> Iterator[str]:
    """The values' JSON text; more than one when it is over the limit, each with some of the keys."""
    whole = json_text(values)
    if not is_over(whole, limit):
        yield whole
        return
    part: Values = {}
    size = 0
    for scope, keys in values.items():
        for key, encoded in keys.items():
            text = json_text(encoded)
            if is_over(text, limit // 2):
                encoded, text = truncated(text, limit // 2), ""
            if size and size + len(text.encode()) > limit // 2:
                yield json_text(part)
                part, size = {}, 0
            part.setdefault(scope, {})[key] = encoded
            size += len(text.encode()) + len(key)
    yield json_text(part)
