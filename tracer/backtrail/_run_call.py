"""A run on its way through a call: current from its entering to its leaving.

start_run → **RunCall** → wrap, block → finish
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _runs, _tasks
from ._block import Block
from ._scope import Position

if TYPE_CHECKING:
    from ._chunks import Chunks
    from ._run import RunRuntime


class RunCall(Block):
    """A run as an activity: it makes itself current, and itself the parent of what follows."""

    waits_before = waits_after = False

    def __init__(self, runtime: RunRuntime) -> None:
        super().__init__()
        self.runtime = runtime
        self.span = runtime.span
        self.interceptors = runtime.interceptors
        self._position = Position(runtime, runtime.context, None, None, runtime.root_scope)

    @property
    def given_result(self) -> Any:
        return self.runtime.given_result[0] if self.runtime.given_result is not None else None

    def provide(self, cls: type) -> Any:
        return provide(self._position, cls)

    def enter(self) -> None:
        self.become_current(self._position, self.runtime.span)
        _tasks.begin_in_task()
        _tasks.join_loop(self.runtime.loops)

    def leave(self, result: Any) -> None:
        self.exit()
        _runs.finish(self.runtime, result)

    def leave_block(self) -> None:
        self.leave(None)

    def leave_failed(self, error: BaseException) -> None:
        self.exit()
        _runs.finish_failed(self.runtime, error)

    def leave_stream(self, chunks: Chunks, result: Any, error: BaseException | None) -> None:
        self.exit()
        _runs.finish_stream(self.runtime, chunks, error)


def provide(position: Position, cls: type) -> Any:
    """The current context of this class, or None."""
    from ._agent_context import AgentContext
    from ._run_context import RunContext
    from ._tool_context import ToolContext

    if issubclass(cls, RunContext):
        return position.context if isinstance(position.context, cls) else None
    if issubclass(cls, ToolContext):
        return ToolContext.at(position)
    if issubclass(cls, AgentContext):
        return position.agent or position.runtime.default_agent()
    return position.step
