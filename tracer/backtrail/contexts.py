"""Ready-made contexts: whose task this is, how deep, for which try, and until when.

    your dataclass ← **TaskContext, DelegationContext, RetryContext, TimedContext, ExecutionContext** ← RunContext

@dataclass(frozen=True)
class AppContext(ExecutionContext):
    user_id: str = ""

Take one, several, or all of them as ExecutionContext; your dataclass may be frozen or not. What they
hold is on every span. An agent that another agent calls gets a copy that stands where it stands: a
task of its own, one deeper; `create_child_context()` does the same by hand.
"""

from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from ._contexts.fields import copied, dataclass_to_type_checkers, field_defaults, read_field
from ._contexts.run_context import RunContext, replaced
from ._runs.effects import generate_id, now_utc
from ._runs.lineage import Lineage
from .errors import ContextLimitError

C = TypeVar("C", bound=RunContext)


@dataclass_to_type_checkers(kw_only=True)
class DelegationContext(RunContext, offers_fields=True):
    """How deep in a chain of delegations this is, and how deep it may go."""

    depth: int = 0
    max_depth: int = 5

    @property
    def can_delegate(self) -> bool:
        return self.depth < self.max_depth

    def create_child_context(self, **fields: Any) -> Self:
        """The context for a task handed to somebody else; `fields` are those of the child that differ.

        Raises ContextLimitError where `can_delegate` is False.
        """
        return _child_of(self, fields)

    def _standing_at(self, lineage: Lineage) -> Self:
        own = super()._standing_at(lineage)
        return _made_to_say(own, depth=lineage.depth)


@dataclass_to_type_checkers(kw_only=True)
class TaskContext(RunContext, offers_fields=True):
    """Whose task this is: its id, the task it came from, and all those before, oldest first."""

    task_id: str = field(default_factory=generate_id)
    parent_task_id: str | None = None
    task_chain: list[str] = field(default_factory=list)

    @property
    def is_root_task(self) -> bool:
        return self.parent_task_id is None

    @property
    def depth(self) -> int:
        return len(self.task_chain)

    def create_child_context(self, **fields: Any) -> Self:
        """The context for a task handed to somebody else; `fields` are those of the child that differ."""
        return _child_of(self, fields)

    def _standing_at(self, lineage: Lineage) -> Self:
        own = super()._standing_at(lineage)
        chain = list(lineage.task_chain)
        return _made_to_say(own, task_id=lineage.task_id, parent_task_id=lineage.parent_task_id, task_chain=chain)


@dataclass_to_type_checkers(kw_only=True)
class RetryContext(RunContext, offers_fields=True):
    """Which try this is. `retry_count` is 0 in the first."""

    retry_count: int = 0
    max_retries: int = 3

    @property
    def is_retry(self) -> bool:
        return self.retry_count > 0

    @property
    def can_retry(self) -> bool:
        return self.retry_count < self.max_retries

    def for_retry(self, **fields: Any) -> Self:
        """The context of the next try of the same task. Raises ContextLimitError where `can_retry` is False."""
        if not self.can_retry:
            raise ContextLimitError(f"retry {self.retry_count} was the last of {self.max_retries}")
        return _changed(self, {"retry_count": self.retry_count + 1, **fields})


@dataclass_to_type_checkers(kw_only=True)
class TimedContext(RunContext, offers_fields=True):
    """Since when and until when. The clock is `now_utc`: a replay of a run reads the times it read then."""

    started_at: datetime = field(default_factory=now_utc)
    deadline: datetime | None = None

    @property
    def elapsed_seconds(self) -> float:
        return (now_utc() - self.started_at.astimezone(UTC)).total_seconds()

    @property
    def remaining_seconds(self) -> float | None:
        """Below zero once it is too late; None without a deadline."""
        # A datetime without a zone is one of this computer's clock.
        return None if self.deadline is None else (self.deadline.astimezone(UTC) - now_utc()).total_seconds()

    @property
    def is_overdue(self) -> bool:
        remaining = self.remaining_seconds
        return remaining is not None and remaining < 0


@dataclass_to_type_checkers(kw_only=True)
class ExecutionContext(DelegationContext, TaskContext, RetryContext, TimedContext, offers_fields=True):
    """All four. A child has a task of its own, is one deeper, starts now, and keeps deadline and metadata."""


def _made_to_say(context: C, **fields: Any) -> C:
    """The context if it says so already, else a copy."""
    return (
        context
        if all(read_field(context, name) == value for name, value in fields.items())
        else replaced(context, **fields)
    )


def _child_of(context: C, fields: dict[str, Any]) -> C:
    changes: dict[str, Any] = {}
    if isinstance(context, DelegationContext):
        if not context.can_delegate:
            raise ContextLimitError(f"depth {context.depth} is as deep as max_depth {context.max_depth} allows")
        changes["depth"] = context.depth + 1
    if isinstance(context, TaskContext):
        chain = [*context.task_chain, context.task_id]
        changes |= {"task_id": generate_id(), "parent_task_id": context.task_id, "task_chain": chain}
    if isinstance(context, RetryContext):
        changes["retry_count"] = 0
    if isinstance(context, TimedContext):
        changes["started_at"] = now_utc()
    return _changed(context, {**changes, **fields})


def _changed(context: C, fields: dict[str, Any]) -> C:
    if unknown := fields.keys() - field_defaults(type(context)).keys():
        raise TypeError(f"{type(context).__name__} has no field {min(unknown)!r}")
    return replaced(context, **{"metadata": copied(context.metadata), **fields})


__all__ = [
    "DelegationContext",
    "ExecutionContext",
    "RetryContext",
    "TaskContext",
    "TimedContext",
]
