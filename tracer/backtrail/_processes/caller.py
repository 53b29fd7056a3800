"""Where in a run a call went out to another process: all that process has to know to go on there.

    position → **Caller** → headers or a pickled task → JoinedRuntime, in the other process

Each call is counted in its scope and gets a scope of its own over there, so that two equal calls to one
service are told apart, in this run and in the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from opentelemetry.trace import SpanContext, TraceFlags

from backtrail._runs.agent_info import AgentInfo
from backtrail._runs.identity import Frame
from backtrail._runs.lineage import Lineage
from backtrail._runs.scope import Position
from backtrail._spans.recorder import Recorder
from backtrail.canonical import H


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The calling side. `agent` is None where no agent called; `frames` is the scope the other side begins in."""

    span: SpanContext
    run_name: str
    lineage_id: str
    lineage: Lineage
    agent: AgentInfo | None
    seq: int
    frames: tuple[Frame, ...]

    @classmethod
    def of(cls, position: Position) -> Caller:
        runtime = position.runtime
        agent = position.agent if position.agent is not None and not position.agent.is_default else None
        with runtime.lock:
            number = position.scope.count("remote")
            seq = runtime.seq
        return cls(
            span=_marked(runtime.parent_span(), is_sent=runtime.recorder.is_sent(runtime.trace_id)),
            run_name=runtime.info.name,
            lineage_id=runtime.lineage_id,
            lineage=agent.lineage if agent is not None else runtime.lineage,
            agent=agent.agent if agent is not None else None,
            seq=seq,
            frames=remote_frames(position.scope.frames, number),
        )

    def redacted(self, recorder: Recorder) -> Caller:
        """As it may leave this machine."""
        return replace(self, run_name=recorder.redaction.name(self.run_name), lineage=self.lineage.redacted(recorder))


def _marked(span: SpanContext, *, is_sent: bool) -> SpanContext:
    """What a run that may yet be dropped causes elsewhere is not recorded there: nobody could take it back."""
    if is_sent:
        return span
    return SpanContext(span.trace_id, span.span_id, span.is_remote, TraceFlags(TraceFlags.DEFAULT), span.trace_state)


def remote_frames(frames: tuple[Frame, ...], number: int) -> tuple[Frame, ...]:
    """The n-th call from this scope; a step it came from stays in front, so that its answer covers what it caused."""
    enclosing = frames[:1] if frames and frames[0][0] == "step" else ()
    return (*enclosing, ("remote", H([list(frame) for frame in frames]), number))
