"""Where spans are made and where they go: the part of `configure()` that recording needs.

    configure → **Recorder** → RecordedSpan → SpanSink (our processor)

One recorder is current in the process; a run keeps the one it started with. Before `configure()`
a recorder without a sink stands in: contexts and state work, nothing is recorded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags

from backtrail import semconv
from backtrail._boundary import never_raise
from backtrail._delivery.lifetime import in_forked_child
from backtrail._payloads.capture import withhold
from backtrail._payloads.content import DEFAULT_MAX_PAYLOAD_BYTES, is_over, truncated_text
from backtrail._payloads.hashing import PLAIN_HASHING, Hashing
from backtrail._payloads.redaction import DEFAULT_REDACTION, Redaction

from .ids import PrivateIds
from .span import RecordedSpan

if TYPE_CHECKING:
    from backtrail._beside.beside import Beside
    from backtrail._delivery.sampling import Sampler
    from backtrail._interceptors.interceptors import Interceptor

Durability = Literal["async", "sync", "exit"]

_handing_over = never_raise("handing over a span")
_flushing = never_raise("flushing spans")

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_PENDING_PAYLOAD_BYTES = 65_536
_NO_SPAN_ID = "0" * 16


def new_process() -> str:
    """A name for one numbering of spans: a process, or one joining of a run."""
    return os.urandom(4).hex()


class SpanSink(Protocol):
    """What takes finished spans; `Processor` in a program, a list in tests.

    A sink may stand before another, to hold spans back or to show them to somebody else: it hands everything on, and
    has the other as its attribute `inner`.
    """

    def opened(self, span: RecordedSpan) -> None: ...
    def closed(self, span: RecordedSpan) -> None: ...
    def on_end(self, span: ReadableSpan) -> None: ...
    def flush(self, timeout: float) -> bool: ...
    def secure(self, timeout: float) -> bool: ...
    def lost_of(self, trace_id: int) -> int: ...
    def shutdown(self) -> None: ...
    @property
    def is_failing(self) -> bool: ...


def innermost(sink: SpanSink | None) -> SpanSink | None:
    """The sink behind all that stand before it."""
    while (inner := getattr(sink, "inner", None)) is not None:
        sink = inner
    return sink


@dataclass(slots=True)
class Recorder:
    """Makes spans and hands the finished ones on."""

    sink: SpanSink | None = None
    resource: Resource = field(default_factory=lambda: Resource({}))
    ids: IdGenerator = field(default_factory=PrivateIds)
    clock: Callable[[], int] = time.time_ns
    process: str = field(default_factory=new_process)
    durability: Durability = "async"
    max_payload_bytes: int = DEFAULT_MAX_PAYLOAD_BYTES
    beside: Beside | None = None
    joins_global_provider: bool = False
    redaction: Redaction = DEFAULT_REDACTION
    hashing: Hashing = PLAIN_HASHING
    withholds: bool = False
    track_mutations: bool = False
    sampler: Sampler | None = None
    interceptors: tuple[Interceptor, ...] = ()

    def start_root(self, name: str, trace_id: int, attributes: dict[str, Any], links: Sequence[Link]) -> RecordedSpan:
        if self.withholds:
            withhold(attributes, self.hashing)
        context = SpanContext(trace_id, self.ids.generate_span_id(), False, _SAMPLED)
        span = RecordedSpan(self, name, context, None, attributes, self.clock(), links=links)
        if self.beside is not None:
            self.beside.started(span)
        return span

    def start(
        self,
        name: str,
        parent: SpanContext,
        attributes: dict[str, Any],
        kind: SpanKind = SpanKind.INTERNAL,
        start_time: int | None = None,
    ) -> RecordedSpan:
        if self.withholds:
            withhold(attributes, self.hashing)
        context = SpanContext(parent.trace_id, self.ids.generate_span_id(), False, _SAMPLED)
        span = RecordedSpan(
            self, name, context, parent, attributes, self.clock() if start_time is None else start_time, kind
        )
        if self.beside is not None:
            self.beside.started(span)
        return span

    def point(self, name: str, parent: SpanContext, attributes: dict[str, Any]) -> RecordedSpan:
        """A span without length: a state write, a checkpoint, an effect."""
        span = self.start(name, parent, attributes)
        span.end(span.start_time)
        return span

    def pending(self, span: RecordedSpan) -> None:
        """Let a row stand in for a span that may never end."""
        real = span.context
        attributes: dict[str, Any] = {}
        known = span.attributes.copy()
        if span.withholds:
            withhold(known, self.hashing)
        for name, value in known.items():
            is_long = isinstance(value, str) and is_over(value, _PENDING_PAYLOAD_BYTES)
            attributes[name] = truncated_text(value, _PENDING_PAYLOAD_BYTES) if is_long else value
        attributes[semconv.PENDING_OF] = f"{real.span_id:016x}"
        attributes[semconv.PENDING_PARENT] = f"{span.parent.span_id:016x}" if span.parent else _NO_SPAN_ID
        attributes[semconv.PENDING_KIND] = attributes.get(semconv.KIND, "")
        attributes[semconv.KIND] = "pending"
        stand_in = self.start(span.name, real, attributes, span.kind, span.start_time)
        stand_in.end(span.start_time)

    def finish(self, span: RecordedSpan) -> None:
        if self.sink is not None:
            with _handing_over:
                if span.withholds:
                    withhold(span.attributes, self.hashing)
                finished = span.readable()
                self.sink.on_end(finished)
                if self.beside is not None:
                    self.beside.ended(span, finished)

    def flush(self, timeout: float) -> bool:
        """Whether everything recorded so far has been acknowledged."""
        if self.sink is not None:
            with _flushing:
                return self.sink.flush(timeout)
        return False

    def keep(self, trace_id: int) -> None:
        """The run asks for something durable: it is sent, unless it was dropped from its start on."""
        if self.sampler is not None:
            self.sampler.keep(trace_id)

    def is_sent(self, trace_id: int) -> bool:
        """Whether it is certain that the run is sent."""
        return self.sampler is None or self.sampler.is_sent(trace_id)

    def secure(self, timeout: float) -> bool:
        """Whether what was recorded so far would survive this process: acknowledged, or synced in the spool."""
        if self.sink is not None:
            with _flushing:
                return self.sink.secure(timeout)
        return False


_current = Recorder()


def current_recorder() -> Recorder:
    return _current


def set_current_recorder(recorder: Recorder) -> None:
    global _current
    _current = recorder


def _after_fork() -> None:
    _current.process = new_process()


in_forked_child(_after_fork)
