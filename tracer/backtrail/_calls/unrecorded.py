"""What is not recorded all the same runs as it would: contexts are injected, state works, no span is made.

@step(capture="none"), a block outside a run → **unrecorded** → the user's function
"""

from __future__ import annotations

from typing import Any

from backtrail._contexts.step_context import StepContext
from backtrail._interceptors.intercepted import StandIn
from backtrail._runs.run import RunRuntime
from backtrail._runs.run_call import provide
from backtrail._runs.scope import Position
from backtrail._runs.steps import StepPlan

from .detached import detached_position


class Unrecorded(StandIn):
    """One call of a step that leaves nothing behind. Steps within it are those of whoever called it."""

    waits_before = waits_after = False
    given_result = None

    def __init__(self, position: Position, name: str) -> None:
        super().__init__("step", name)
        self._position = position
        self.runtime: RunRuntime = position.runtime

    def provide(self, cls: type) -> Any:
        if issubclass(cls, StepContext):
            return StepPlan("unrecorded").begin(detached_position(), None)
        return provide(self._position, cls)

    def enter(self) -> None: ...
    def leave(self, result: Any) -> None: ...
    def leave_block(self) -> None: ...
    def leave_failed(self, error: BaseException) -> None: ...
    def pause(self) -> None: ...
    def come_back(self, within: None) -> None: ...
    def leave_stream(self, chunks: Any, result: Any, error: BaseException | None) -> None: ...
