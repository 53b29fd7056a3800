"""What a context object knows of its run, during it and after it: state, conversation, agent at work.

    start_run, plan_agent → **remember** → ctx.to_json(), also when the run is over

The object is the user's and we do not write to it, so this is kept beside it: by its id, as it may
be unhashable, and until it goes.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from backtrail._runs.scope import current_position
from backtrail._state.state import RUN_SCOPE

if TYPE_CHECKING:
    from backtrail._runs.run import RunRuntime

    from .run_context import RunContext


class Remembered:
    """One run, as long as one of its contexts is there to be asked."""

    __slots__ = ("_ending", "_runtime", "conversation_id")

    def __init__(self, runtime: RunRuntime) -> None:
        self.conversation_id = runtime.lineage.conversation_id
        # The runtime itself would keep every agent and step alive.
        self._runtime = weakref.ref(runtime)
        self._ending: tuple[dict[str, Any], str | None] = ({}, None)

    def read(self) -> tuple[dict[str, Any], str | None]:
        """The run's state, encoded, and the name of the agent that was last at work."""
        runtime = self._runtime()
        if runtime is not None:
            self.keep(runtime)
        return self._ending

    def keep(self, runtime: RunRuntime) -> None:
        with runtime.lock:
            self._ending = runtime.state.encoded(RUN_SCOPE), _last_at_work(runtime)


def _last_at_work(runtime: RunRuntime) -> str | None:
    """The agent that began something last: itself, or a step. The default agent is nobody to hand over to."""
    last = max((agent for agent in runtime.agents if not agent.is_default), key=lambda a: a.last_seq, default=None)
    return last.name if last is not None else None


_kept: dict[int, tuple[weakref.ref[RunContext], Remembered]] = {}


def remember(context: RunContext, remembered: Remembered) -> None:
    """From now on the context knows this run. One that was in several knows the last it was handed to."""
    key = id(context)

    def forget(gone: weakref.ref[RunContext]) -> None:
        if (entry := _kept.get(key)) is not None and entry[0] is gone:
            del _kept[key]

    _kept[key] = weakref.ref(context, forget), remembered


def remembered_by(context: RunContext) -> Remembered | None:
    """The run of a context: the one it is current in, else the one it knows, else the one going on here."""
    position = current_position.get()
    if position is not None and position.context is context:
        return position.runtime.remembered
    if (entry := _kept.get(id(context))) is not None:
        return entry[1]
    return position.runtime.remembered if position is not None else None
