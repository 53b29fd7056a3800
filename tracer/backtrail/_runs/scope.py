"""Where in the program a call stands: the position, its scope, and the counters that belong to it.

    run → **scope** ─ task, thread, branch, step → frames → step keys

A scope is a list of frames made when a task, thread or branch is made, which a program does in the
same order in every run; when its steps start is up to the scheduler. Counters live in their scope,
so that they go when it goes.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from .identity import Frame

if TYPE_CHECKING:
    from backtrail._contexts.agent_context import AgentContext
    from backtrail._contexts.run_context import RunContext
    from backtrail._contexts.step_context import StepContext
    from backtrail._interceptors.interceptors import Interceptor

    from .run import RunRuntime

_to_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Scope:
    """One list of frames and what has been counted in it. Counting happens under the run's lock."""

    __slots__ = ("_counts", "_text", "_threads", "frames", "is_weak")

    def __init__(self, frames: tuple[Frame, ...] = (), *, is_weak: bool = False) -> None:
        self.frames = frames
        self.is_weak = is_weak
        self._text: str | None = None if frames else "[]"
        self._counts: dict[object, int] = {}
        self._threads: dict[object, int] = {}

    @property
    def text(self) -> str:
        """The frames as JSON; in most steps no other is called, and nobody asks."""
        if self._text is None:
            self._text = _to_text(self.frames)
        return self._text

    def count(self, thing: object) -> int:
        """How many times this thing was counted here before."""
        occurrence = self._counts.get(thing, 0)
        self._counts[thing] = occurrence + 1
        return occurrence

    def uncount(self, thing: object) -> None:
        """Take the last count back: the thing was only asked about."""
        self._counts[thing] -= 1

    def is_contended(self, thing: object, thread: int) -> bool:
        """Whether another thread has counted the thing here: then the order is the scheduler's."""
        return self._threads.setdefault(thing, thread) != thread

    def child(self, kind: str, name: str, *, is_weak: bool = False) -> Scope:
        """The scope of the n-th task, thread or branch of this name."""
        return Scope((*self.frames, (kind, name, self.count((kind, name)))), is_weak=is_weak or self.is_weak)


class Position(NamedTuple):
    """Everything that is current at one point of the program."""

    runtime: RunRuntime
    context: RunContext
    agent: AgentContext | None
    step: StepContext | None
    scope: Scope

    @property
    def interceptors(self) -> tuple[Interceptor, ...]:
        """Those that hold for what is called here."""
        return (self.agent or self.runtime).interceptors


current_position: ContextVar[Position | None] = ContextVar("backtrail_position", default=None)
