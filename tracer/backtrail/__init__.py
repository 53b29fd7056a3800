"""Trace LLM agents with OpenTelemetry, and replay the runs that failed.

import backtrail

backtrail.configure(service_name="support-bot")

@backtrail.step(kind="tool")
async def lookup(order_id: str) -> Order: ...

@backtrail.run
async def handle(query: str) -> Answer: ...
"""

import typing as _typing

from ._calls.decorators import agent, run, step, tool
from ._configure import configure, flush, shutdown
from ._contexts.agent_context import AgentContext
from ._contexts.context_text import Restored
from ._contexts.current import (
    get_current_agent_context,
    get_current_client,
    get_current_run_context,
    get_current_step_context,
    get_current_tool_context,
    has_active_agent,
    has_active_client,
    has_active_run,
)
from ._contexts.run_context import RunContext
from ._contexts.step_context import StepContext
from ._contexts.tool_context import ToolContext
from ._interceptors.interceptors import InterceptContext, Interceptor, InterceptResult, Phase
from ._local import init_local
from ._runs.effects import generate_id, now_utc
from ._runs.steps import StepKind
from ._state.checkpoint import Checkpoint
from ._version import __version__
from .errors import InterceptedError

if _typing.TYPE_CHECKING:
    from ._delivery.sampling import Sampling
    from ._processes.propagation import extract, inject
    from ._replay.replaying import ReplayResult
    from .client import Client
    from .instrument import (
        instrument_anthropic,
        instrument_mcp,
        instrument_openai,
        uninstrument_anthropic,
        uninstrument_mcp,
        uninstrument_openai,
    )

__all__ = [
    "AgentContext",
    "Checkpoint",
    "Client",
    "InterceptContext",
    "InterceptResult",
    "InterceptedError",
    "Interceptor",
    "Phase",
    "ReplayResult",
    "Restored",
    "RunContext",
    "Sampling",
    "StepContext",
    "StepKind",
    "ToolContext",
    "__version__",
    "agent",
    "configure",
    "extract",
    "flush",
    "generate_id",
    "get_current_agent_context",
    "get_current_client",
    "get_current_run_context",
    "get_current_step_context",
    "get_current_tool_context",
    "has_active_agent",
    "has_active_client",
    "has_active_run",
    "init_local",
    "inject",
    "instrument_anthropic",
    "instrument_mcp",
    "instrument_openai",
    "now_utc",
    "run",
    "shutdown",
    "step",
    "tool",
    "uninstrument_anthropic",
    "uninstrument_mcp",
    "uninstrument_openai",
]

if not _typing.TYPE_CHECKING:

    def __getattr__(name):
        """What recording has no need of is imported by those who use it: the client with its HTTP library, say."""
        if name == "Client":
            from . import client as module
        elif name == "ReplayResult":
            from ._replay import replaying as module
        elif name == "Sampling":
            from ._delivery import sampling as module
        elif name in ("extract", "inject"):
            from ._processes import propagation as module
        elif name in __all__:
            from . import instrument as module
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(module, name)
