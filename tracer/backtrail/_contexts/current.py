"""What is current, for code that was handed nothing: the accessors of the public API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backtrail._runs.scope import current_position

from .agent_context import AgentContext
from .run_context import RunContext, active_position
from .step_context import StepContext
from .tool_context import ToolContext

if TYPE_CHECKING:
    from backtrail.client import Client

_client: Client | None = None


def set_current_client(client: Client | None) -> None:
    global _client
    _client = client


def get_current_client() -> Client:
    """The client `configure()` made. RuntimeError before that."""
    if _client is None:
        raise RuntimeError("no client is active; call backtrail.configure() first")
    return _client


def has_active_client() -> bool:
    return _client is not None


def get_current_run_context() -> RunContext:
    """The context of the run this code is part of. RuntimeError outside a run."""
    return active_position().context


def has_active_run() -> bool:
    return current_position.get() is not None


def get_current_agent_context() -> AgentContext:
    """The agent at work, or the run's default agent. RuntimeError outside a run."""
    position = active_position()
    return position.agent or position.runtime.default_agent()


def has_active_agent() -> bool:
    position = current_position.get()
    return position is not None and position.agent is not None


def get_current_step_context() -> StepContext:
    """The step that is running. RuntimeError outside a step."""
    position = current_position.get()
    if position is None or position.step is None:
        raise RuntimeError("no step is active here; call this inside a function decorated with @backtrail.step")
    return position.step


def get_current_tool_context() -> ToolContext:
    """State, context and usage of the run this code is part of. RuntimeError outside a run."""
    return ToolContext.at(active_position())
