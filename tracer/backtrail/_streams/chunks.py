"""What came out of a stream, kept as it passes: every item while a payload has room, then only their count.

    body → item → _flow → **chunks** → `backtrail.step.stream`, or the result of an agent or a run

Items are kept as the text they will be sent as, so that what is held is never more than what is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from backtrail import _late, semconv
from backtrail._payloads.content import json_text

if TYPE_CHECKING:
    from backtrail._runs.run import RunRuntime
    from backtrail._spans.span import RecordedSpan

ClosedBy = Literal["end", "consumer", "error", "cancel"]

_FRAME_BYTES = 512  # what a payload holds besides items and times


class Chunks:
    """The items of one stream, the time of each, and how it was closed."""

    __slots__ = (
        "_bytes",
        "_first",
        "_is_cut",
        "_is_text",
        "_items",
        "_keeps",
        "_runtime",
        "_start_time",
        "_thrown",
        "_times",
        "closed_by",
        "count",
        "dropped_seq",
        "reason",
    )

    def __init__(self, runtime: RunRuntime) -> None:
        self._runtime = runtime
        self._keeps = True
        self._start_time = 0
        self.closed_by: ClosedBy = "end"
        self.count = 0
        self.dropped_seq: int | None = None
        self.reason = ""
        self._first: int | None = None
        self._items, self._times = bytearray(), bytearray()
        self._bytes = 0
        self._is_cut = False
        self._is_text = True
        self._thrown: list[int] = []

    def begin(self, span: RecordedSpan) -> None:
        self._keeps = not span.withholds
        self._start_time = span.start_time

    def add(self, item: Any) -> None:
        elapsed = self._runtime.recorder.clock() - self._start_time
        self.count += 1
        if self._first is None:
            self._first = elapsed
        if self._keeps:
            encoded, text = self._runtime.payload(item)
            self.reason = self.reason or encoded.reason
            self._is_text = self._is_text and type(encoded.json) is str
            self._keep(text.encode(), str(round(elapsed / 1e6, 3)).encode())

    def _keep(self, item: bytes, time: bytes) -> None:
        self._bytes += len(item)
        size = len(self._items) + len(self._times) + len(item) + len(time)
        if self._is_cut or size + _FRAME_BYTES > self._runtime.recorder.max_payload_bytes:
            self._is_cut = True
            self.reason = self.reason or "too_large"
            return
        self._items += item + b","
        self._times += time + b","

    def survived(self) -> None:
        """The body went on after an error that its consumer threw into it, and so has to do a replay."""
        self._thrown.append(self.count)

    def redact(self) -> None:
        """A secret that came in pieces shows only in the whole: then the whole is kept as one item, without it."""
        if not self._keeps or not self._is_text or self.count < 2:
            return
        whole = "".join(_late.pydantic_core.from_json(f"[{_listed(self._items)}]"))
        redacted = self._runtime.recorder.redaction.json(whole)
        if redacted is not whole:
            self._items = bytearray(_late.pydantic_core.to_json(redacted) + b",")
            self._times = self._times[: self._times.index(b",") + 1]
            self.reason = self.reason or "redacted"

    def step_attributes(self) -> dict[str, Any]:
        """For the span of a step."""
        attributes = {semconv.STEP_STREAM: self._text(of_step=True), **self.times()}
        if self.reason:
            attributes[semconv.STEP_REPLAYABLE] = False
            attributes[semconv.STEP_UNREPLAYABLE_REASON] = self.reason
        return attributes

    def times(self) -> dict[str, float]:
        return {} if self._first is None else {semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: self._first / 1e9}

    def result_text(self) -> str:
        """As the result of an agent or a run: the list of the items, or what is known of them."""
        is_whole = self.closed_by == "end" and not self._is_cut
        return f"[{_listed(self._items)}]" if is_whole else self._text()

    def _text(self, *, of_step: bool = False) -> str:
        known: dict[str, Any] = {
            "count": self.count,
            "complete": self.closed_by == "end",
            "closed_by": self.closed_by,
        }
        if of_step and self.dropped_seq is not None:
            known["dropped_seq"] = self.dropped_seq
        if self._thrown:
            known["thrown"] = self._thrown
        if self._is_cut:
            known["bytes"] = self._bytes
        if not self._keeps:
            return json_text(known)
        times = f',"t_ms":[{_listed(self._times)}]' if of_step else ""
        return f'{json_text(known)[:-1]},"chunks":[{_listed(self._items)}]{times}}}'


def _listed(items: bytearray) -> str:
    return items[:-1].decode()
