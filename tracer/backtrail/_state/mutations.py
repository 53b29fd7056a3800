"""State that the program changed in place, behind the back of `set_state`.

    step end, checkpoint, run end → **mutations** → a warning, or with `track_mutations` a delta

What was handed to `set_state` was encoded at that moment. A list that grows afterwards is not what is recorded, and a
replay would go on with the shorter one: better said at the next checkpoint than found out then.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from backtrail._boundary import logger, never_raise

from .state_value import StateValue, is_same

if TYPE_CHECKING:
    from backtrail._runs.run import RunRuntime
    from backtrail._runs.scope import Position

_looking = never_raise("looking for state changed in place")


def note_mutations(runtime: RunRuntime, position: Position | None) -> None:
    """Record what was changed in place, or warn of it. Called under the run's lock."""
    from .deltas import record_delta

    with _looking:
        for scope, key, value in list(runtime.state):
            if value.handed is None or is_same(value.handed, value.encoded):
                continue
            now = StateValue.of(value.handed, runtime, value)
            if now.hash == value.hash:
                continue
            if runtime.recorder.track_mutations:
                record_delta(runtime, scope, runtime.state.set(scope, key, now), position)
            else:
                _warn_once(key)


@functools.lru_cache(maxsize=256)
def _warn_once(key: str) -> None:
    logger.warning(
        "state %r was changed in place after set_state, which is not recorded: "
        "call set_state again, or configure(track_mutations=True)",
        key,
    )
