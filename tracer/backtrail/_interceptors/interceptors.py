"""Interceptors: the user's own code before and after every run, agent and step, with the right to say no.

    configure(interceptors=…), @run, @agent → **Interceptor** ← interception asks

What holds is decided by where a call stands: those of `configure()`, then those of each run and agent around it, from
the outside in. They are asked in this order before the call, and in the opposite order after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from backtrail._contexts.agent_context import AgentContext
    from backtrail._contexts.step_context import StepContext
    from backtrail._runs.steps import StepKind

InterceptedKind = Literal["run", "agent", "step"]


class Phase(StrEnum):
    """When an interceptor is asked. What failed is seen after it, with `context.error`."""

    BEFORE_RUN = "before_run"
    AFTER_RUN = "after_run"
    BEFORE_AGENT = "before_agent"
    AFTER_AGENT = "after_agent"
    BEFORE_STEP = "before_step"
    AFTER_STEP = "after_step"


@dataclass(frozen=True, slots=True, kw_only=True)
class InterceptContext:
    """What an interceptor is told. `run_context` is the run's: of the class, and with the data, that the program gave.

    `inputs` are the arguments by name, without contexts; of a block, its `input=`. In an AFTER phase `result` or
    `error` says what came of the call.
    """

    phase: Phase
    kind: InterceptedKind
    name: str
    run_context: Any  # of the user's own class: its methods are what interceptors call
    agent_context: AgentContext | None = None
    step_context: StepContext | None = None
    step_kind: StepKind | None = None
    inputs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    result: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class InterceptResult:
    """An interceptor's answer: `InterceptResult.continue_()`, or `InterceptResult.stop("why")`."""

    reason: str | None = None

    @property
    def is_stop(self) -> bool:
        return self.reason is not None

    @classmethod
    def continue_(cls) -> Self:
        """Go on; the same as returning None."""
        return cls()

    @classmethod
    def stop(cls, reason: str) -> Self:
        """Do not run the call, or keep its result back: its caller gets an InterceptedError with this reason."""
        return cls(str(reason))


class Interceptor(ABC):
    """Subclass it, with `async def intercept` or `def intercept`.

        class Permissions(Interceptor):
            async def intercept(self, phase: Phase, context: InterceptContext) -> InterceptResult:
                if phase is Phase.BEFORE_RUN and not context.run_context.has_permission("use_agent"):
                    return InterceptResult.stop("Permission denied")
                return InterceptResult.continue_()

    What it raises reaches the caller. Around code that is not async, it may be `async def` too, but not wait.
    """

    @abstractmethod
    def intercept(
        self, phase: Phase, context: InterceptContext
    ) -> InterceptResult | Awaitable[InterceptResult | None] | None:
        """Let the call go on, or stop it."""


def checked(interceptors: Iterable[Interceptor]) -> tuple[Interceptor, ...]:
    """TypeError for what is no interceptor: a class instead of an object, say."""
    if not isinstance(interceptors, Iterable):
        raise TypeError(f"interceptors is a list of interceptors, not {interceptors!r}")
    found = tuple(interceptors)
    for one in found:
        if not isinstance(one, Interceptor):
            raise TypeError(f"an interceptor is an object of a subclass of backtrail.Interceptor, not {one!r}")
    return found
