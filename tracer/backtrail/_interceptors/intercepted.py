"""A run, an agent or a step as its interceptors are shown it; and one that is not recorded.

activity → **InterceptContext** → interception → Interceptor.intercept
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from backtrail._contexts.run_context import RunContext
from backtrail._runs.scope import current_position
from backtrail._spans.recorder import current_recorder
from backtrail._spans.span import RecordedSpan

from .interceptors import InterceptContext, InterceptedKind, Interceptor, Phase

if TYPE_CHECKING:
    from backtrail._runs.run import RunRuntime


class Intercepted(Protocol):
    """A call that interceptors hold for."""

    @property
    def interceptors(self) -> tuple[Interceptor, ...]: ...
    @property
    def span(self) -> RecordedSpan | None: ...


def interceptors_here() -> tuple[Interceptor, ...]:
    """Those that hold for a run that starts here: those around it, or those of `configure()`."""
    position = current_position.get()
    return position.interceptors if position is not None else current_recorder().interceptors


class StandIn:
    """A call that is not recorded, because it should not be or could not. That is no way around its interceptors."""

    span = None

    def __init__(self, kind: InterceptedKind, name: str, interceptors: tuple[Interceptor, ...] = ()) -> None:
        self._kind = kind
        self._name = name
        self._outside = current_position.get()
        is_ordinary = self._outside is None and kind != "run"  # outside a run, steps and agents are ordinary calls
        self.interceptors = () if is_ordinary else (*interceptors_here(), *interceptors)

    @property
    def context(self) -> InterceptContext:
        position = self._outside
        return InterceptContext(
            phase=Phase(f"before_{self._kind}"),
            kind=self._kind,
            name=self._name,
            run_context=position.context if position is not None else RunContext(),
            agent_context=position.agent if position is not None else None,
        )


def context_of(activity: Intercepted) -> InterceptContext:
    """What can be told of a call before it begins, its inputs apart."""
    from backtrail._contexts.agent_context import AgentContext
    from backtrail._contexts.step_context import StepContext

    if isinstance(activity, StandIn):
        return activity.context
    if isinstance(activity, StepContext):
        return InterceptContext(
            phase=Phase.BEFORE_STEP,
            kind="step",
            name=activity.name,
            run_context=activity.position.context,
            agent_context=activity.agent_context,
            step_context=activity,
            step_kind=activity.plan.kind,
        )
    if isinstance(activity, AgentContext):
        # Joining another's run is no way around what is asked before a run.
        kind: InterceptedKind = "run" if activity.stands_for_run else "agent"
        return InterceptContext(
            phase=Phase(f"before_{kind}"),
            kind=kind,
            name=activity.name,
            run_context=activity.run_context,
            agent_context=activity,
        )
    runtime: RunRuntime = activity.runtime  # type: ignore[attr-defined]
    return InterceptContext(phase=Phase.BEFORE_RUN, kind="run", name=runtime.info.name, run_context=runtime.context)
