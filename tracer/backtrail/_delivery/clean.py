"""The last look at a span before it is encoded: text that can travel, and digests of its payloads.

    queue → **clean** → exporter

Done on the exporting thread, so that it costs the agent nothing. Half a surrogate pair in one string
would make an exporter drop the attribute, or the whole batch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link
from opentelemetry.trace.status import Status

from backtrail import semconv
from backtrail._payloads.codec import is_clean
from backtrail._payloads.content import digests_text
from backtrail._spans.copied import copied

_MENDED = "invalid text"


def clean(span: ReadableSpan) -> ReadableSpan:
    """The span as it can be sent; the same object if nothing is to be done."""
    attributes: Mapping[str, Any] = span.attributes or {}
    added: dict[str, Any] = {}
    if semconv.KIND in attributes and (digests := digests_text(attributes)) is not None:
        added[semconv.DIGESTS] = digests
    if not _is_clean_span(span, attributes):
        attributes = _mended(attributes)
        added[semconv.FLAGGED] = _MENDED
    elif not added:
        return span
    if semconv.FLAGGED not in added:
        return copied(span, attributes={**attributes, **added})
    return copied(
        span,
        name=_text(span.name),
        attributes={**attributes, **added},
        events=[_event(event) for event in span.events],
        links=[Link(link.context, _mended(link.attributes or {})) for link in span.links],
        status=_status(span.status),
    )


def _is_clean_span(span: ReadableSpan, attributes: Mapping[str, Any]) -> bool:
    return (
        is_clean(span.name)
        and _are_clean(attributes)
        and is_clean(span.status.description or "")
        and all(is_clean(event.name) and _are_clean(event.attributes or {}) for event in span.events)
        and all(_are_clean(link.attributes or {}) for link in span.links)
    )


def _are_clean(attributes: Mapping[str, Any]) -> bool:
    return all(is_clean(name) and _is_clean_value(value) for name, value in attributes.items())


def _is_clean_value(value: Any) -> bool:
    if isinstance(value, str):
        return is_clean(value)
    if isinstance(value, Mapping):
        return _are_clean(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return all(_is_clean_value(item) for item in value)
    return True


def _mended(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {_text(name): _value(value) for name, value in attributes.items()}


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return _mended(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_value(item) for item in value]
    return value


def _text(text: str) -> str:
    return text if is_clean(text) else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _event(event: Event) -> Event:
    return Event(_text(event.name), _mended(event.attributes or {}), event.timestamp)


def _status(status: Status) -> Status:
    return Status(status.status_code, _text(status.description)) if status.description else status
