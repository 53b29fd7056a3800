"""ToolContext: all that a tool may want of the run it works for, in one parameter.

    run state, user's context, totals, current agent and step → **ToolContext** → the tool

`state` is shared by every tool of the run and goes into its checkpoints; reading gives copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Self

from backtrail._runs.scope import Position, current_position
from backtrail._state.deltas import delete_state, get_state, has_state, set_state
from backtrail._state.state import RUN_SCOPE

from .fields import field_defaults, read_field
from .run_context import RunContext

if TYPE_CHECKING:
    from .agent_context import AgentContext
    from .step_context import StepContext
    from .totals import Totals

_ABSENT: Any = object()


class RunState(MutableMapping[str, Any]):
    """The run's state as a mapping. To change a value that was read, write it again."""

    def __init__(self, position: Position) -> None:
        self._runtime = position.runtime
        self._made_at = position

    def __getitem__(self, key: str) -> Any:
        value = get_state(self._runtime, RUN_SCOPE, key, _ABSENT)
        if value is _ABSENT:
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        set_state(self._runtime, RUN_SCOPE, key, value, self._position())

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        delete_state(self._runtime, RUN_SCOPE, key, self._position())

    def __iter__(self) -> Iterator[str]:
        with self._runtime.lock:
            return iter(self._runtime.state.encoded(RUN_SCOPE))

    def __len__(self) -> int:
        with self._runtime.lock:
            return len(self._runtime.state.encoded(RUN_SCOPE))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and has_state(self._runtime, RUN_SCOPE, key)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value, after `default` was put there if there was none: a copy in either case."""
        if key not in self:
            self[key] = default
        return self[key]

    def _position(self) -> Position:
        # A write belongs to the step it is made in, which may be one within the tool.
        return current_position.get() or self._made_at

    def __repr__(self) -> str:
        return f"RunState({dict(self)!r})"


class ContextData(MutableMapping[str, Any]):
    """The user's context as a mapping: its fields, and the entries of its metadata.

    The context itself is never written to. What is written here goes to the run's state, and is read first.
    """

    def __init__(self, context: RunContext, state: RunState) -> None:
        self._context = context
        self._state = state
        self._fields = field_defaults(type(context)).keys()

    def __getitem__(self, key: str) -> Any:
        if key in self._state:
            return self._state[key]
        return read_field(self._context, key) if key in self._fields else self._metadata[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._state[key] = value

    def __delitem__(self, key: str) -> None:
        del self._state[key]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._fields, *self._metadata, *self._state]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def _metadata(self) -> Mapping[str, Any]:
        metadata = read_field(self._context, "metadata")
        return metadata if isinstance(metadata, Mapping) else {}

    def __repr__(self) -> str:
        return f"ContextData({dict(self)!r})"


class ToolContext:
    """What a tool may want of its run; get it by annotation, or `get_current_tool_context()`.

        @backtrail.tool
        def remember_customer(customer_id: str, tool: ToolContext) -> str:
            tool.state["customer_id"] = customer_id

    In a test, make one: `remember_customer.__wrapped__("c-1", ToolContext(state={…}))`.
    """

    def __init__(self, context: RunContext | None = None, *, state: Mapping[str, Any] | None = None) -> None:
        from backtrail._calls.detached import detached_position

        self._position = detached_position(context)
        self.state.update(state or {})

    @classmethod
    def at(cls, position: Position) -> Self:
        """The one for code that stands there."""
        tool = cls.__new__(cls)
        tool._position = position
        return tool

    @property
    def state(self) -> RunState:
        return RunState(self._position)

    @property
    def context(self) -> ContextData:
        return ContextData(self.run_context, self.state)

    @property
    def run_context(self) -> RunContext:
        return self._position.context

    @property
    def agent_context(self) -> AgentContext:
        return self._position.agent or self._position.runtime.default_agent()

    @property
    def step_context(self) -> StepContext | None:
        """The step this was given to; None in an agent or a run."""
        return self._position.step

    @property
    def usage(self) -> Totals:
        """What the whole run has used so far."""
        return self._position.runtime.totals

    @property
    def retry_count(self) -> int:
        """How often this was tried before: as a step with `retries=`, else as the user's context counts it."""
        step = self._position.step
        if step is not None and step.retry_count:
            return step.retry_count
        count = read_field(self.run_context, "retry_count")
        return count if isinstance(count, int) else 0
