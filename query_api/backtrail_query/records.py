"""Spans → typed records: what a run left behind for state and replay.

    reader.get_trace(payloads=True) → **records** → fold, outcomes → routes/state.py, routes/replay.py

A record holds the attributes the logic needs, in their types; `span` is there for the rest. What a span says in a
shape we do not know is treated as not said: a foreign or damaged attribute must not make a run unreadable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic_core import from_json

from backtrail import semconv
from backtrail_query.deltas import Delta, Values, read_deltas, read_values
from backtrail_query.tree import EndStatus, end_status, kind_of
from backtrail_store.rows import AttributeValue, SpanRow
from backtrail_store.values import json_value

StepStatus: TypeAlias = EndStatus | Literal["incomplete"]
Frames: TypeAlias = list[list[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One call of a step. `seq_end` is None while nobody saw it end."""

    span: SpanRow
    step_key: str
    loose_key: str
    agent_key: str
    scope: Frames
    name: str
    kind: str
    occurrence: int
    explicit_key: str | None
    version: str | None
    status: StepStatus
    seq_start: int
    seq_end: int | None
    end_batch: int | None
    input_hash: str
    replayable: bool
    unreplayable_reason: str | None
    side_effect: str
    replayed: bool
    deltas: list[Delta]
    stream_closed_by: str | None = None
    stream_dropped_seq: int | None = None

    @property
    def span_id(self) -> str:
        return self.span.span_id


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRecord:
    span: SpanRow
    agent_key: str
    name: str
    path: Frames
    parent_key: str | None
    depth: int
    is_default: bool
    status: StepStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRecord:
    """Deltas on a span of their own: written outside steps, or a step's list that was too long for its span."""

    span: SpanRow
    seq: int
    reason: str
    step_key: str | None
    deltas: list[Delta]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRecord:
    """One part of a snapshot; a snapshot is whole when all its parts are there."""

    span: SpanRow
    checkpoint_id: str
    name: str
    seq: int
    part: int
    parts: int
    is_auto: bool
    after_step_key: str | None
    open_steps: list[str]
    root: str | None
    values: Values
    extra: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRecord:
    span: SpanRow
    key: str
    name: str
    scope: Frames
    seq: int
    occurrence: int
    value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecords:
    """One run, each list by `seq`. `run` is None if the trace has no run span: then nothing can be replayed."""

    run: SpanRow | None
    agents: list[AgentRecord]
    steps: list[StepRecord]
    writes: list[WriteRecord]
    snapshots: list[SnapshotRecord]
    effects: list[EffectRecord]
    spans: Sequence[SpanRow]

    @property
    def seq_max(self) -> int:
        """The last point of the run: what its end recorded, or the newest thing known."""
        recorded = integer(self.run, semconv.RUN_SEQ_MAX) if self.run is not None else None
        seqs = [span_seq for span in self.spans for span_seq in seqs_of(span)]
        return max([recorded or 0, *seqs])

    @property
    def status(self) -> StepStatus:
        """How the run ended, as far as is known."""
        return "incomplete" if self.run is None else _status(self.run)

    @property
    def failed_step_key(self) -> str | None:
        return text(self.run, semconv.RUN_FAILED_STEP_KEY) if self.run is not None else None


def read_records(spans: Sequence[SpanRow]) -> RunRecords:
    kinds: dict[str, list[SpanRow]] = {}
    for span in {span.span_id: span for span in spans}.values():
        kinds.setdefault(kind_of(span), []).append(span)
    return RunRecords(
        run=next(iter(kinds.get("run", [])), None),
        agents=[read_agent(span) for span in kinds.get("agent", [])],
        steps=sorted((_read_step(span) for span in kinds.get("step", [])), key=lambda step: step.seq_start),
        writes=sorted((_read_write(span) for span in kinds.get("state", [])), key=lambda write: write.seq),
        snapshots=sorted((_read_snapshot(span) for span in kinds.get("checkpoint", [])), key=lambda one: one.seq),
        effects=sorted((_read_effect(span) for span in kinds.get("effect", [])), key=lambda effect: effect.seq),
        spans=spans,
    )


def seqs_of(span: SpanRow) -> list[int]:
    """Every point of the run's clock that this span alone accounts for, deltas apart."""
    found = [integer(span, name) for name in _SEQ_ATTRIBUTES]
    return [seq for seq in found if seq is not None]


_SEQ_ATTRIBUTES = (
    semconv.RUN_SEQ_MAX,
    semconv.STEP_SEQ_START,
    semconv.STEP_SEQ_END,
    semconv.AGENT_SEQ_START,
    semconv.AGENT_SEQ_END,
    semconv.STATE_SEQ,
    semconv.CHECKPOINT_SEQ,
    semconv.EFFECT_SEQ,
)


def _read_step(span: SpanRow) -> StepRecord:
    seq_start = integer(span, semconv.STEP_SEQ_START) or span.seq
    closed_by, dropped_seq = _stream_end(payload(span, semconv.STEP_STREAM))
    return StepRecord(
        span=span,
        step_key=span.step_key or text(span, semconv.STEP_KEY) or span.span_id,
        loose_key=text(span, semconv.STEP_LOOSE_KEY) or "",
        agent_key=span.agent_key,
        scope=_frames(span, semconv.STEP_SCOPE),
        name=text(span, semconv.STEP_NAME) or span.name,
        kind=text(span, semconv.STEP_KIND) or span.step_kind,
        occurrence=integer(span, semconv.STEP_OCCURRENCE) or 0,
        explicit_key=text(span, semconv.STEP_EXPLICIT_KEY),
        version=text(span, semconv.STEP_VERSION),
        status=_status(span),
        seq_start=seq_start,
        seq_end=None if span.is_pending else integer(span, semconv.STEP_SEQ_END),
        end_batch=integer(span, semconv.STEP_END_BATCH),
        input_hash=text(span, semconv.STEP_INPUT_HASH) or "",
        replayable=span.attributes.get(semconv.STEP_REPLAYABLE) is not False,
        unreplayable_reason=text(span, semconv.STEP_UNREPLAYABLE_REASON),
        side_effect=text(span, semconv.STEP_SIDE_EFFECT) or "none",
        replayed=span.replayed,
        deltas=read_deltas(payload(span, semconv.STEP_DELTAS)),
        stream_closed_by=closed_by,
        stream_dropped_seq=dropped_seq,
    )


def _stream_end(stream: object) -> tuple[str | None, int | None]:
    """Who closed a stream (its end, its consumer, an error, a cancel), and when it was dropped, if it was."""
    if not isinstance(stream, dict):
        return None, None
    closed_by, dropped_seq = stream.get("closed_by"), stream.get("dropped_seq")
    return closed_by if isinstance(closed_by, str) else None, dropped_seq if isinstance(dropped_seq, int) else None


def read_agent(span: SpanRow) -> AgentRecord:
    return AgentRecord(
        span=span,
        agent_key=span.agent_key,
        name=text(span, semconv.AGENT_NAME) or span.agent_name,
        path=_frames(span, semconv.AGENT_PATH),
        parent_key=text(span, semconv.AGENT_PARENT_KEY),
        depth=integer(span, semconv.AGENT_DEPTH) or span.depth,
        is_default=span.attributes.get(semconv.AGENT_IS_DEFAULT) is True,
        status=_status(span),
    )


def _read_write(span: SpanRow) -> WriteRecord:
    return WriteRecord(
        span=span,
        seq=integer(span, semconv.STATE_SEQ) or span.seq,
        reason=text(span, semconv.STATE_REASON) or "set",
        step_key=text(span, semconv.STEP_KEY),
        deltas=read_deltas(payload(span, semconv.STATE_DELTAS)),
    )


def _read_snapshot(span: SpanRow) -> SnapshotRecord:
    open_steps = payload(span, semconv.CHECKPOINT_OPEN_STEPS)
    return SnapshotRecord(
        span=span,
        checkpoint_id=text(span, semconv.CHECKPOINT_ID) or span.span_id,
        name=text(span, semconv.CHECKPOINT_NAME) or "",
        seq=integer(span, semconv.CHECKPOINT_SEQ) or 0,
        part=integer(span, semconv.CHECKPOINT_PART) or 1,
        parts=integer(span, semconv.CHECKPOINT_PARTS) or 1,
        is_auto=span.attributes.get(semconv.CHECKPOINT_AUTO) is True,
        after_step_key=text(span, semconv.CHECKPOINT_AFTER_STEP_KEY),
        open_steps=[str(key) for key in open_steps] if isinstance(open_steps, list) else [],
        root=text(span, semconv.CHECKPOINT_ROOT),
        values=read_values(payload(span, semconv.CHECKPOINT_VALUES)),
        extra=payload(span, semconv.CHECKPOINT_EXTRA),
    )


def _read_effect(span: SpanRow) -> EffectRecord:
    return EffectRecord(
        span=span,
        key=text(span, semconv.EFFECT_KEY) or "",
        name=text(span, semconv.EFFECT_NAME) or span.name,
        scope=_frames(span, semconv.EFFECT_SCOPE),
        seq=integer(span, semconv.EFFECT_SEQ) or span.seq,
        occurrence=integer(span, semconv.EFFECT_OCCURRENCE) or 0,
        value=payload(span, semconv.EFFECT_VALUE),
    )


def _status(span: SpanRow) -> StepStatus:
    return "incomplete" if span.is_pending else end_status(span)


def _frames(span: SpanRow, name: str) -> Frames:
    frames = payload(span, name)
    return [frame for frame in frames if isinstance(frame, list)] if isinstance(frames, list) else []


def text(span: SpanRow, name: str) -> str | None:
    value = span.attributes.get(name)
    return value if isinstance(value, str) and value else None


def integer(span: SpanRow, name: str) -> int | None:
    value = span.attributes.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def payload(span: SpanRow, name: str) -> object:
    """A payload's JSON; None if it is absent or cut, which its digest tells where it matters."""
    value: AttributeValue = span.attributes.get(name)
    if not isinstance(value, str):
        return json_value(value)
    try:
        decoded: object = from_json(value, allow_inf_nan=False)
    except ValueError:
        return None
    return decoded
