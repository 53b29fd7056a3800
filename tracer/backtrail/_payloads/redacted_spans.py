"""Spans of other instrumentation, redacted before they go our way.

    any OpenTelemetry library → ForeignSpans → **redacted span** → processor

Their messages are JSON text in attributes; a prompt in them is the same prompt that our own step's input had redacted.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link
from opentelemetry.trace.status import Status

from backtrail._spans.copied import copied

from .capture import is_word
from .redaction import Redaction


def redacted_span(span: ReadableSpan, redaction: Redaction) -> ReadableSpan:
    """The span without what has to go; the same object if that is nothing."""
    own, seen, linked = span.attributes, span.events, span.links
    name = redaction.text(span.name)
    attributes = _redacted(own, redaction)
    events = [_event(event, redaction) for event in seen]
    links = [_link(link, redaction) for link in linked]
    status = _status(span.status, redaction)
    is_same = name == span.name and attributes is own and status is span.status
    if is_same and all(map(operator.is_, events, seen)) and all(map(operator.is_, links, linked)):
        return span
    return copied(span, name=name, attributes=attributes, events=events, links=links, status=status)


def bare_span(span: ReadableSpan) -> ReadableSpan:
    """The span without what was said: for capture="metadata"."""
    return copied(
        span,
        attributes=_without_words(span.attributes),
        events=[Event(event.name, _without_words(event.attributes), event.timestamp) for event in span.events],
        status=Status(span.status.status_code),
    )


def _without_words(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (attributes or {}).items() if not is_word(name)}


def _redacted(attributes: Mapping[str, Any] | None, redaction: Redaction) -> Mapping[str, Any] | None:
    found = attributes or {}
    redacted = {name: redaction.attribute(name, value) for name, value in found.items()}
    return attributes if all(redacted[name] is found[name] for name in redacted) else redacted


def _event(event: Event, redaction: Redaction) -> Event:
    name, attributes = redaction.text(event.name), event.attributes
    redacted = _redacted(attributes, redaction)
    return event if name == event.name and redacted is attributes else Event(name, redacted, event.timestamp)


def _link(link: Link, redaction: Redaction) -> Link:
    attributes = link.attributes
    redacted = _redacted(attributes, redaction)
    return link if redacted is attributes else Link(link.context, redacted)


def _status(status: Status, redaction: Redaction) -> Status:
    text = redaction.text(status.description) if status.description else status.description
    return status if text == status.description else Status(status.status_code, text)
