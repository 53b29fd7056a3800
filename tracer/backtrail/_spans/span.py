"""Our own spans: recording ones, as light as a span can be.

    decorator → **RecordedSpan** → processor → OTLP

They are OpenTelemetry spans to everybody else: current in the context, parents of what other
instrumentation makes, open to `set_attribute`. Unlike the SDK's they take our attribute dict as it
is, without cleaning it value by value, and have no limits: a cut payload is a broken payload.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, ReadableSpan, Span
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind
from opentelemetry.trace.status import Status, StatusCode

from backtrail._boundary import never_raise
from backtrail._calls.modules import module_name
from backtrail._payloads.content import is_over, truncated_text
from backtrail._payloads.recorded_errors import message_of
from backtrail._version import __version__

if TYPE_CHECKING:
    from .recorder import Recorder

UNSET = Status(StatusCode.UNSET)
SCOPE = InstrumentationScope("backtrail", __version__)

_cleaning = never_raise("setting attributes")

_MAX_FRAMES = 100
_MAX_WORDS = 65_536


class RecordedSpan(trace.Span):
    """A span of ours between its start and its end."""

    __slots__ = (
        "_events",
        "_status",
        "attributes",
        "context",
        "end_time",
        "kind",
        "links",
        "name",
        "parent",
        "recorder",
        "shadow",
        "start_time",
        "withholds",
    )

    def __init__(
        self,
        recorder: Recorder,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: dict[str, Any],
        start_time: int,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
    ) -> None:
        self.recorder = recorder
        self.name = name
        self.context = context
        self.parent = parent
        self.attributes = attributes
        self.start_time = start_time
        self.end_time: int | None = None
        self.kind = kind
        self.links = links
        self.shadow: Span | None = None
        self.withholds = recorder.withholds
        self._events: list[Event] | None = None
        self._status = UNSET

    def get_span_context(self) -> SpanContext:
        return self.context

    def is_recording(self) -> bool:
        return self.end_time is None

    def set_attribute(self, key: str, value: Any) -> None:
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        if self.end_time is None:
            self.attributes.update(self._cleaned(attributes))

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        if self.end_time is None:
            if self._events is None:
                self._events = []
            name = self.recorder.redaction.text(name)
            self._events.append(Event(name, self._cleaned(attributes), timestamp or self.recorder.clock()))

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        if self.end_time is None and context.is_valid:
            self.links = (*self.links, Link(context, self._cleaned(attributes)))

    def update_name(self, name: str) -> None:
        if self.end_time is None:
            self.name = self.recorder.redaction.text(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if self.end_time is None:
            status = status if isinstance(status, Status) else Status(status, description)
            if status.description is not None:
                status = Status(status.status_code, self.recorder.redaction.text(_cut(status.description)))
            self._status = status

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        described = {
            "exception.type": error_type(exception),
            "exception.message": _cut(message_of(exception)),
            "exception.stacktrace": _cut(_stack_trace(exception)),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**described, **(attributes or {})}, timestamp)

    def set_error(self, error: BaseException, *, is_confidential: bool = False) -> None:
        if self.withholds or is_confidential:
            self.add_event("exception", {"exception.type": error_type(error), "exception.escaped": "True"})
            self.set_status(StatusCode.ERROR, type(error).__name__)
            return
        self.record_exception(error, escaped=True)
        self.set_status(StatusCode.ERROR, f"{type(error).__name__}: {message_of(error)}")

    def _cleaned(self, attributes: Mapping[str, Any] | None) -> BoundedAttributes:
        redact, limit = self.recorder.redaction.attribute, self.recorder.max_payload_bytes
        with _cleaning:
            return BoundedAttributes(
                attributes={name: _bounded(redact(name, value), limit) for name, value in (attributes or {}).items()}
            )
        return BoundedAttributes()

    def end(self, end_time: int | None = None) -> None:
        if self.end_time is not None:
            return
        recorder = self.recorder
        self.end_time = end_time if end_time is not None else recorder.clock()
        recorder.finish(self)
        # The finished span has the dict now; whoever still holds this object must not keep the payloads alive.
        self.attributes = {}

    def readable(self) -> ReadableSpan:
        return ReadableSpan(
            name=self.name,
            context=self.context,
            parent=self.parent,
            resource=self.recorder.resource,
            attributes=self.attributes,
            events=self._events or (),
            links=self.links,
            kind=self.kind,
            status=self._status,
            start_time=self.start_time,
            end_time=self.end_time,
            instrumentation_scope=SCOPE,
        )


def _bounded(value: Any, limit: int) -> Any:
    return truncated_text(value, limit) if isinstance(value, str) and is_over(value, limit) else value


def _cut(text: str) -> str:
    """An error may say what it was given: the middle of a long message is not needed to know it again."""
    if len(text) <= _MAX_WORDS:
        return text
    half = _MAX_WORDS // 2
    return f"{text[:half]} […{len(text) - _MAX_WORDS} characters…] {text[-half:]}"


def error_type(error: BaseException) -> str:
    cls = type(error)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{module_name(cls)}.{cls.__qualname__}"


def _stack_trace(error: BaseException) -> str:
    # The innermost frames tell where it broke; a recursion without end has thousands.
    innermost = _innermost(error.__traceback__)
    try:
        return "".join(traceback.format_exception(type(error), error, innermost, limit=-_MAX_FRAMES))
    except Exception:
        return "".join(traceback.format_tb(innermost))


def _innermost(trace: TracebackType | None) -> TracebackType | None:
    """`limit=` alone would read the lines of every frame first: for each step of a recursion, those of all below it."""
    ahead, count = trace, 0
    while ahead is not None:
        ahead, count = ahead.tb_next, count + 1
        if count > _MAX_FRAMES and trace is not None:
            trace = trace.tb_next
    return trace
