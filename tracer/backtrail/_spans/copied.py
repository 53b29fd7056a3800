"""A finished span again, with some of it changed: finished spans are read only.

on_end → **copied** → _delivery, redaction, tests
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, TypeVar, Unpack

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link
from opentelemetry.trace.status import Status

S = TypeVar("S", bound=ReadableSpan)


class Parts(TypedDict, total=False):
    """What may differ; where a span stands and when it was stays as it is."""

    name: str
    resource: Resource
    attributes: Mapping[str, Any] | None
    events: Sequence[Event]
    links: Sequence[Link]
    status: Status


def copied(span: ReadableSpan, **changed: Unpack[Parts]) -> ReadableSpan:
    return copied_as(ReadableSpan, span, **changed)


def copied_as(cls: type[S], span: ReadableSpan, **changed: Unpack[Parts]) -> S:
    parts: Parts = {
        "name": span.name,
        "resource": span.resource,
        "attributes": span.attributes,
        "events": span.events,
        "links": span.links,
        "status": span.status,
    }
    parts.update(changed)
    return cls(
        context=span.context,
        parent=span.parent,
        kind=span.kind,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
        **parts,
    )
