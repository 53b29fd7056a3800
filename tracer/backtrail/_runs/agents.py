"""Agents are named and numbered at the moment of their call; they start when they are entered.

    @agent or start_agent → **plan_agent** → AgentContext → its span

An agent that another agent calls is a delegation: it gets a task of its own, the caller's task is its
parent, and the chain grows by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backtrail._boundary import complain, never_raise
from backtrail._contexts.agent_context import AgentContext
from backtrail._contexts.remembered import remember
from backtrail._payloads.codec import encode
from backtrail._processes.tasks import framed
from backtrail._state.deltas import set_state
from backtrail._state.state import RUN_SCOPE

from .agent_info import AgentInfo, PlannedAgent
from .identity import AgentPath, agent_key
from .scope import Position

if TYPE_CHECKING:
    from backtrail._contexts.run_context import RunContext
    from backtrail._interceptors.interceptors import Interceptor

    from .run import RunRuntime

DEFAULT_PATH: AgentPath = (("default", 0),)
DEFAULT_KEY = agent_key(DEFAULT_PATH, ())


def plan_agent(
    position: Position,
    name: str,
    *,
    context: RunContext | None = None,
    config_id: str | None = None,
    metadata: dict[str, Any] | None = None,
    input_json: Any = None,
) -> AgentContext:
    """One agent of this name under the current one. `context` is what was handed over to it, if anything."""
    position = framed(position)
    runtime = position.runtime
    parent = position.agent if position.agent is not None and not position.agent.is_default else None
    with runtime.lock:
        ordinal = position.scope.count(("agent", parent.key if parent else None, name))
    path = (*(parent.agent.path if parent else ()), (name, ordinal))
    key = agent_key(path, position.scope.frames)
    lineage = parent.lineage.delegate(key, runtime.lineage_id) if parent else runtime.lineage
    if context is not None:
        lineage = lineage.with_context(context)
    if lineage.is_too_deep:
        complain(name, "agent %s is at depth %d, past the max_depth of %d", name, lineage.depth, lineage.max_depth)
    info = AgentInfo(key, name, path, lineage.depth, config_id)
    planned = PlannedAgent(position, runtime.parent_span(), input_json, metadata)
    own = context or position.context
    with never_raise("giving an agent its context"):
        own = own._standing_at(lineage)
        if own is not position.context:
            remember(own, runtime.remembered)
    return AgentContext(runtime, own, info, lineage, parent, planned)


def join_as_agent(
    position: Position,
    name: str,
    context: RunContext | None,
    state: dict[str, Any] | None,
    inputs: Any,
    interceptors: tuple[Interceptor, ...],
) -> AgentContext:
    """A run's function in a process that joined a run: there it is an agent of that run."""
    for key, value in (state or {}).items():
        set_state(position.runtime, RUN_SCOPE, key, value, position)
    agent = plan_agent(position, name, context=context, input_json=encode(inputs).json)
    agent.stands_for_run = True
    agent.interceptors += interceptors
    return agent


def start_default(runtime: RunRuntime) -> AgentContext:
    """The agent of a run's own steps."""
    info = AgentInfo(DEFAULT_KEY, "default", DEFAULT_PATH, runtime.lineage.depth, None)
    position = Position(runtime, runtime.context, None, None, runtime.root_scope)
    planned = PlannedAgent(position, runtime.span.context)
    agent = AgentContext(runtime, runtime.context, info, runtime.lineage, None, planned, is_default=True)
    agent.start()
    return agent
