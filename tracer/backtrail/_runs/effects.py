"""Time, ids and chance: recorded where a run reads them, so that a replay reads the same.

    now_utc(), generate_id(), ctx.random() → **effect** → effect span; in a replay, the recorded value

Outside a run they are what their names say.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from backtrail import semconv
from backtrail._boundary import never_raise
from backtrail._payloads.codec import encode
from backtrail._payloads.content import payload_text
from backtrail._payloads.decode import decode
from backtrail.canonical import H

from .agents import DEFAULT_KEY
from .identity import ident_text, json_string, step_key
from .scope import Position, current_position

T = TypeVar("T")

_NO_INPUT = ident_text(None, H(None))


def now_utc() -> datetime:
    """The time in UTC, with its zone; the same again in a replay."""
    return _effect("now", lambda: datetime.now(UTC))


def generate_id() -> str:
    """A new random id of 32 hex digits; the same again in a replay."""
    return _effect("id", lambda: uuid.uuid4().hex)


def random_uuid() -> uuid.UUID:
    return _effect("uuid", uuid.uuid4)


def random_number() -> float:
    return _effect("random", random.random)


def _effect(name: str, produce: Callable[[], T]) -> T:
    position = current_position.get()
    if position is None:
        return produce()
    with never_raise("recording an effect"):
        return _recorded(position, name, produce)
    return produce()


def _recorded(position: Position, name: str, produce: Callable[[], T]) -> T:
    runtime, scope = position.runtime, position.scope
    agent = position.agent.key if position.agent is not None else DEFAULT_KEY
    with runtime.lock:
        occurrence = scope.count((agent, "effect", name))
        seq, number = runtime.tick_and_number()
    key = step_key(agent, scope.text, json_string(f"effect:{name}"), "null", _NO_INPUT, occurrence)
    record = runtime.replay.on_effect(name, scope.text, key) if runtime.replay is not None else None
    value: T = decode(record.value) if record is not None else produce()
    attributes = {
        **(position.agent or runtime).attributes,
        semconv.KIND: "effect",
        semconv.PROCESS: runtime.recorder.process,
        semconv.NUMBER: number,
        semconv.EFFECT_KEY: key,
        semconv.EFFECT_NAME: name,
        semconv.EFFECT_SCOPE: scope.text,
        semconv.EFFECT_VALUE: payload_text(encode(value).json, runtime.recorder.max_payload_bytes),
        semconv.EFFECT_SEQ: seq,
        semconv.EFFECT_OCCURRENCE: occurrence,
    }
    runtime.recorder.point(f"effect {name}", runtime.parent_span(), attributes)
    return value


__all__ = ["generate_id", "now_utc", "random_number", "random_uuid"]
