"""Spans in a list, as a test looks at them: found by their name, their payloads as values, drawn as a tree.

Recorder → **CapturedSpans** → a test
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from . import semconv
from ._delivery.clean import clean
from ._payloads.decode import decode
from ._spans.copied import copied_as
from ._spans.span import RecordedSpan
from .errors import ReplayError

_NAMES = (semconv.STEP_NAME, semconv.AGENT_NAME, semconv.RUN_NAME, semconv.CHECKPOINT_NAME)
_STATUSES = (semconv.STEP_STATUS, semconv.AGENT_STATUS, semconv.RUN_STATUS, semconv.ATTEMPT_STATUS)
_INPUTS = (semconv.STEP_INPUT, semconv.AGENT_INPUT, semconv.RUN_INPUT)
_RESULTS = (semconv.STEP_RESULT, semconv.AGENT_RESULT, semconv.RUN_RESULT)
_ERRORS = (semconv.STEP_ERROR, semconv.AGENT_ERROR, semconv.RUN_ERROR, semconv.ATTEMPT_ERROR)
_POINTS = ("state", "effect")  # they happen within something that the tree shows


class CapturedSpan(ReadableSpan):
    """A finished span; what was recorded of inputs and results is there as plain values."""

    @classmethod
    def of(cls, span: ReadableSpan) -> CapturedSpan:
        return copied_as(cls, span)

    @property
    def input(self) -> Any:
        """What the function was called with, by parameter; dataclasses and models as dicts of their fields."""
        return self._payload(_INPUTS)

    @property
    def result(self) -> Any:
        """What it returned, in the same way."""
        return self._payload(_RESULTS)

    @property
    def error(self) -> Any:
        """What it raised: `type`, `message` and more."""
        return self._payload(_ERRORS)

    @property
    def status_text(self) -> str:
        """`completed`, `failed` or `cancelled`; of a span that is not ours `failed` or nothing."""
        return str(self._first(_STATUSES) or ("" if self.status.is_ok or self.status.is_unset else "failed"))

    @property
    def short_name(self) -> str:
        """The step's, the agent's or the run's own: `look_up` of `execute_tool look_up`."""
        return str(self._first(_NAMES) or self.name)

    @property
    def line(self) -> str:
        """What it is in the tree."""
        attributes = self.attributes or {}
        kind = attributes.get(semconv.STEP_KIND, "custom")
        kind = attributes.get(semconv.KIND, "span") if kind == "custom" else kind
        ending = {"failed": f" ! {attributes.get(semconv.ERROR_TYPE, 'failed')}", "cancelled": " ! cancelled"}
        return f"{kind} {self.short_name.removeprefix(f'{kind} ')}{ending.get(self.status_text, '')}"

    def __repr__(self) -> str:
        return f"<{self.line}>"

    def _payload(self, names: tuple[str, ...]) -> Any:
        text = self._first(names)
        return None if text is None else plain(json.loads(str(text)))

    def _first(self, names: tuple[str, ...]) -> object:
        attributes = self.attributes or {}
        return next((attributes[name] for name in names if name in attributes), None)


class CapturedSpans(list[CapturedSpan]):
    """The finished spans, in the order they ended; pending rows are kept apart in `pending`."""

    def __init__(self) -> None:
        super().__init__()
        self.pending: list[ReadableSpan] = []

    def of_kind(self, kind: str) -> list[CapturedSpan]:
        """Those of a kind: run, agent, step, attempt, checkpoint, state, effect; or of a kind of step: llm, tool …"""
        return [span for span in self if kind in _kinds(span)]

    def named(self, name: str) -> CapturedSpan:
        """The one span of this name: `execute_tool look_up`; or else that of the function `look_up`."""
        found = [span for span in self if span.name == name] or [span for span in self if span.short_name == name]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} spans are named {name!r}; there are\n{self.tree()}")
        return found[0]

    def tree(self) -> str:
        """What ran, a line each, below what called it: `tool look_up`, with ` ! ConnectionError` if it failed."""
        return "\n".join(f"{'  ' * depth}{span.line}" for depth, span in self._walk(None, 0))

    def __repr__(self) -> str:
        return f"<{len(self)} spans\n{self.tree()}>"

    def _walk(self, parent: int | None, depth: int) -> Iterator[tuple[int, CapturedSpan]]:
        known = {span.context.span_id for span in self if span.context}
        for span in sorted(self, key=lambda span: span.start_time or 0):
            parent_id = span.parent.span_id if span.parent and span.parent.span_id in known else None
            if parent_id == parent and span.context and not _is_within(span):
                yield depth, span
                yield from self._walk(span.context.span_id, depth + 1)

    # What a recorder needs of its sink.

    def opened(self, span: RecordedSpan) -> None:
        return None

    def closed(self, span: RecordedSpan) -> None:
        return None

    def on_end(self, span: ReadableSpan) -> None:
        captured = CapturedSpan.of(clean(span))
        if "pending" in _kinds(captured):
            self.pending.append(captured)
        else:
            self.append(captured)

    def flush(self, timeout: float) -> bool:
        return True

    def shutdown(self) -> None:
        return None

    def secure(self, timeout: float) -> bool:
        return True

    is_failing = False

    def lost_of(self, trace_id: int) -> int:
        return 0


def plain(encoded: Any) -> Any:
    """Values without their classes, which a test may not have: equal to what `==` would be written with."""
    if isinstance(encoded, list):
        return [plain(item) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    tag, body = encoded.get("$t"), encoded.get("v")
    if tag is None:
        return {key: plain(item) for key, item in encoded.items()}
    if tag in ("dataclass", "model", "exception"):
        return plain(body)
    if tag == "tuple":
        return tuple(plain(body))
    try:
        return decode(encoded)
    except ReplayError:
        return encoded


def _kinds(span: ReadableSpan) -> tuple[object, object]:
    attributes = span.attributes or {}
    return attributes.get(semconv.KIND), attributes.get(semconv.STEP_KIND)


def _is_within(span: CapturedSpan) -> bool:
    attributes = span.attributes or {}
    return attributes.get(semconv.KIND) in _POINTS or bool(attributes.get(semconv.CHECKPOINT_AUTO))
