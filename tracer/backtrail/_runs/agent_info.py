"""What is known of an agent before it starts: who it is, and what it was called with.

plan_agent, headers of a caller → **AgentInfo, PlannedAgent** → AgentContext
"""

from __future__ import annotations

from typing import Any, NamedTuple

from opentelemetry.trace import SpanContext

from .identity import AgentPath
from .scope import Position


class AgentInfo(NamedTuple):
    """What an agent is in the recording."""

    agent_key: str
    name: str
    path: AgentPath
    depth: int
    config_id: str | None


class PlannedAgent(NamedTuple):
    """What an agent was called with, kept until it starts."""

    position: Position
    parent_span: SpanContext
    input_json: Any = None
    metadata: dict[str, Any] | None = None
