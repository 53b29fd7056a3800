"""One request with spans, and what became of it.

    processor → **OtlpDelivery** → connection → POST /v1/traces → the receiver

The stock OTLP exporter takes a redirect for a yes, reads answers of any length, and tries again by a clock of its own.
We have to know which no it was: what a server refuses for good must not be offered for ever.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http.client import HTTPException
from typing import Protocol

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan

from backtrail._boundary import complain

from .connection import Connection, HttpAnswer
from .parcel import Parcel, pack

_TRY_AGAIN = frozenset({408, 425, 429, 502, 503, 504})
_LONGEST_WAIT = 60.0
_REFUSED = "%s answered %d; %d spans are lost: %s"


class Outcome(Enum):
    DELIVERED = auto()
    REFUSED = auto()
    TOO_LARGE = auto()
    FAULTY = auto()
    UNREACHABLE = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """`wait` is what the server asked for before the next request, `rejected` how many spans it did not take.

    `why` says of spans that are still to be delivered what stood in their way.
    """

    outcome: Outcome
    wait: float = 0.0
    rejected: int = 0
    why: str = ""


class Delivery(Protocol):
    """What the processor sends through."""

    @property
    def endpoint(self) -> str: ...

    def pack(self, spans: Sequence[ReadableSpan]) -> list[Parcel]: ...
    def send(self, parcel: Parcel) -> Answer: ...
    def shutdown(self) -> None: ...
    def renew(self) -> None: ...


class OtlpDelivery:
    """Sends to one OTLP/HTTP endpoint."""

    def __init__(self, endpoint: str, headers: Mapping[str, str]) -> None:
        self.endpoint = endpoint
        self._headers = dict(headers)
        self.renew()

    def renew(self) -> None:
        """A new connection; a forked process must not share its parent's."""
        self._connection = Connection(self.endpoint, self._headers)

    def pack(self, spans: Sequence[ReadableSpan]) -> list[Parcel]:
        return pack(spans)

    def send(self, parcel: Parcel) -> Answer:
        try:
            answer = self._connection.post(parcel.body)
        except OSError as error:
            return Answer(Outcome.UNREACHABLE, why=_why(error))
        if 200 <= answer.status < 300 and not _is_a_page(answer):
            return self._taken(answer)
        if answer.status in _TRY_AGAIN:
            wait = _wait(answer.headers.get("retry-after"))
            return Answer(Outcome.UNREACHABLE, wait, why=f"it answers {answer.status}")
        if answer.status >= 500:
            return Answer(Outcome.FAULTY, why=f"it answers {answer.status}")
        if answer.status == 413 and parcel.span_count > 1:
            return Answer(Outcome.TOO_LARGE)
        advice = _advice(answer, parcel.size)
        complain("refused spans", _REFUSED, self.endpoint, answer.status, parcel.span_count, advice)
        return Answer(Outcome.REFUSED)

    def shutdown(self) -> None:
        self._connection.close()

    def _taken(self, answer: HttpAnswer) -> Answer:
        try:
            partial = ExportTraceServiceResponse.FromString(answer.body or b"").partial_success
        except DecodeError:
            return Answer(Outcome.DELIVERED)
        if partial.rejected_spans > 0:
            message = "%s rejected %d spans: %.500s"
            complain("rejected spans", message, self.endpoint, partial.rejected_spans, partial.error_message)
        return Answer(Outcome.DELIVERED, rejected=max(partial.rejected_spans, 0))


def _is_a_page(answer: HttpAnswer) -> bool:
    """Something for people's eyes: whatever answers there, it takes no spans."""
    return (answer.body is None or answer.body.lstrip()[:1] == b"<") and "html" in answer.headers.get(
        "content-type", ""
    ).lower()


def _why(error: BaseException) -> str:
    """By the first cause: the libraries in between wrap it in sentences of their own."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, HTTPException):
        return "what answers there does not speak HTTP; port 4317 is for gRPC, spans go to port 4318"
    said = (isinstance(error, OSError) and error.strerror) or type(error).__name__
    return f"{said}; is a server running there?"


def _advice(answer: HttpAnswer, length: int) -> str:
    match answer.status:
        case 401:
            return "the api key is missing or not accepted here; give it as api_key= or BACKTRAIL_API_KEY"
        case 403:
            return "this is not allowed with the api key that was sent; it takes one with the scope ingest"
        case 404 | 405:
            return "is this a Backtrail server, or another OTLP/HTTP endpoint?"
        case 413:
            return f"a span of {length:,} bytes is more than the server takes; see max_payload_bytes"
        case status if 300 <= status < 400:
            return f"spans are not sent on to {answer.headers.get('location', 'another place')[:200]!r}"
        case status if status < 300:
            return "a page of HTML, so this is no OTLP endpoint"
        case _:
            return "the server does not want them, and would not the next time"


def _wait(said: str | None) -> float:
    """Seconds from a Retry-After header, which may name a moment instead; bounded, whatever it says."""
    if said is None:
        return 0.0
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else 0.0
