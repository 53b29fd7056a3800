"""A part of a run that another process called for: everything in it belongs to the caller's run.

    Caller → **JoinedRuntime** → agents, steps, state → spans of the caller's trace

It has no run span and no snapshot of its own beginning: both are the caller's. It counts its spans as a process
of its own, its clock goes on from the caller's, and its state is kept apart: what the caller's state was, nobody
told it. The agent that called is current here too, as one whose span is elsewhere.
"""

from __future__ import annotations

import time
from dataclasses import replace

from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

from backtrail._beside.foreign import join_global_provider
from backtrail._boundary import never_raise
from backtrail._calls.block import Block
from backtrail._contexts.agent_context import AgentContext
from backtrail._contexts.done import DONE, Done
from backtrail._contexts.run_context import RunContext
from backtrail._interceptors.interceptors import Interceptor
from backtrail._runs.agent_info import PlannedAgent
from backtrail._runs.run import RunInfo, RunRuntime, active_runs
from backtrail._runs.runs import let_go
from backtrail._runs.scope import Position, Scope, current_position
from backtrail._spans.recorder import Recorder, current_recorder, new_process
from backtrail._spans.span import RecordedSpan
from backtrail._state.state import State

from . import tasks
from .caller import Caller
from .patches import install_patches


class JoinedRuntime(RunRuntime):
    """What this process keeps of a run that began in another."""

    def __init__(self, recorder: Recorder, caller: Caller, interceptors: tuple[Interceptor, ...] | None = None) -> None:
        context = RunContext(query=caller.lineage.query)
        # A process of its own even beside others in this one: each counts its spans from 1.
        recorder = replace(recorder, process=new_process())
        if not caller.span.trace_flags.sampled:
            recorder.sink = None
        super().__init__(recorder, caller.run_name, context, lineage_id=caller.lineage_id)
        self.trace_id = caller.span.trace_id
        self.run_id = f"{self.trace_id:032x}"
        self.info = RunInfo(self.run_id, caller.run_name, caller.lineage_id)
        self.lineage = caller.lineage
        self.attributes = self.lineage.attributes(recorder)
        self.root_scope = Scope(caller.frames)
        self.state = State(recorder.process)
        self.seq = caller.seq
        self.span = _elsewhere(recorder, caller)
        if interceptors is not None:
            self.interceptors = interceptors
        self.calling_agent = self._calling_agent(caller)
        active_runs.setdefault(self.trace_id, self)

    def _calling_agent(self, caller: Caller) -> AgentContext | None:
        if caller.agent is None:
            return None
        position = Position(self, self.context, None, None, self.root_scope)
        planned = PlannedAgent(position, caller.span)
        return AgentContext(self, self.context, caller.agent, caller.lineage, None, planned)

    @property
    def position(self) -> Position:
        """Where the joined part begins."""
        return Position(self, self.context, self.calling_agent, None, self.root_scope)

    def is_entrance(self, position: Position) -> bool:
        return position.agent is self.calling_agent and position.step is None

    def is_top_agent(self, agent: AgentContext) -> bool:
        return agent.parent is None or agent.parent is self.calling_agent

    def finish(self, error: BaseException | None) -> None:
        """The joined part is over: what is still open in it ends, and the caller's run goes on."""
        for agent in reversed(self.agents):
            if agent.status == "open" and not agent.is_at_work:
                if error is None:
                    agent.finish(None)
                else:
                    agent.finish_failed(error)
        self.status = "completed" if error is None else "failed"
        let_go(self)

    def fail(self, error: BaseException) -> Done:
        """Only this part of the run: whether the whole run fails is the caller's to say."""
        for agent in reversed(self.agents):
            agent.fail(error)
        return DONE


def join_run(caller: Caller, interceptors: tuple[Interceptor, ...] | None = None) -> JoinedRuntime:
    """Join it, with the caller's own interceptors, or with those of this process."""
    recorder = current_recorder()
    install_patches()
    if recorder.joins_global_provider:
        join_global_provider(recorder)
    return JoinedRuntime(recorder, caller, interceptors)


def _elsewhere(recorder: Recorder, caller: Caller) -> RecordedSpan:
    """Stands for the caller's span: the parent of what happens here, recorded over there."""
    span = RecordedSpan(recorder, caller.run_name, caller.span, None, {}, time.time_ns())
    span.end_time = span.start_time
    return span


class Join(Block):
    """One coming in: current from `enter` to `leave`. Without a runtime, only OpenTelemetry's context is."""

    def __init__(self, runtime: JoinedRuntime | None, context: Context) -> None:
        super().__init__()
        self._joined = runtime
        self._context = context

    @property
    def run_context(self) -> RunContext | None:
        return self._joined.context if self._joined is not None else None

    def enter(self) -> None:
        current, joined = get_current_span(), self._joined
        if joined is None:
            span = current if current.get_span_context().is_valid else get_current_span(self._context)
            self.become_current(current_position.get(), span, self._context)
            return
        span = joined.span
        if current.get_span_context().trace_id == joined.trace_id:
            # A server's instrumentation came first: its span stands between the caller's and ours.
            span = current
            span.set_attributes((joined.calling_agent or joined).attributes)
        self.become_current(joined.position, span, self._context)
        tasks.begin_in_task()
        tasks.join_loop(joined.loops)

    def leave_block(self) -> None:
        self._leave(None)

    def leave_failed(self, error: BaseException) -> None:
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        self.exit()
        if self._joined is not None:
            with never_raise("ending a joined run"):
                self._joined.finish(error)
