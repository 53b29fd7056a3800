"""A run on its way through a call: current from its entering to its leaving.

start_run → **RunCall** → wrap, block → finish
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backtrail._calls.block import Block
from backtrail._processes import tasks

from . import runs
from .scope import Position

if TYPE_CHECKING:
    from backtrail._streams.chunks import Chunks

    from .run import RunRuntime


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
        tasks.begin_in_task()
        tasks.join_loop(self.runtime.loops)

    def leave(self, result: Any) -> None:
        self.exit()
        runs.finish(self.runtime, result)

    def leave_block(self) -> None:
        self.leave(None)

    def leave_failed(self, error: BaseException) -> None:
        self.exit()
        runs.finish_failed(self.runtime, error)

    def leave_stream(self, chunks: Chunks, result: Any, error: BaseException | None) -> None:
        self.exit()
        runs.finish_stream(self.runtime, chunks, error)


def provide(position: Position, cls: type) -> Any:
    """The current context of this class, or None."""
    from backtrail._contexts.agent_context import AgentContext
    from backtrail._contexts.run_context import RunContext
    from backtrail._contexts.tool_context import ToolContext

    if issubclass(cls, RunContext):
        return position.context if isinstance(position.context, cls) else None
    if issubclass(cls, ToolContext):
        return ToolContext.at(position)
    if issubclass(cls, AgentContext):
        return position.agent or position.runtime.default_agent()
    return position.step
