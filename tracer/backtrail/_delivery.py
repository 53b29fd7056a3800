"""One request with spans, and what became of it.

    _processor → **OtlpDelivery** → POST /v1/traces → the receiver

The stock OTLP exporter encodes, sends, and retries what the server asks to have again. It answers
only yes or no; a hook on its HTTP session tells us which no it was, because spans that a server
refuses for good must not be offered for ever.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401  (else imported while connecting: a fork in that moment leaves its lock taken)
import logging
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Protocol

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from ._boundary import complain
from ._loopback import is_loopback

EXPORT_THREAD = "backtrail-export"

_TRY_AGAIN = frozenset({408, 429, 502, 503, 504})
_MAX_ANSWER_BYTES = 65_536


def _is_not_ours(record: logging.LogRecord) -> bool:
    return record.threadName != EXPORT_THREAD


# The exporter logs every try and its HTTP library every request; for our own thread the processor says once
# that the server is away.
logging.getLogger(OTLPSpanExporter.__module__).addFilter(_is_not_ours)
logging.getLogger("urllib3.connectionpool").addFilter(_is_not_ours)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class Outcome(Enum):
    DELIVERED = auto()
    REFUSED = auto()
    UNREACHABLE = auto()


class Delivery(Protocol):
    """What the processor sends through."""

    @property
    def endpoint(self) -> str: ...

    def send(self, spans: Sequence[ReadableSpan]) -> Outcome: ...
    def shutdown(self) -> None: ...
    def renew(self) -> None: ...


def _doubled(retry: int) -> float:
    return float(2**retry)


class OtlpDelivery:
    """Sends to one OTLP/HTTP endpoint."""

    def __init__(self, endpoint: str, headers: Mapping[str, str]) -> None:
        self.endpoint = endpoint
        self._headers = dict(headers)
        self._status: int | None = None
        self.renew()

    def renew(self) -> None:
        """A new connection; a forked process must not share its parent's."""
        session = requests.Session()
        session.trust_env = not is_loopback(self.endpoint)
        # Without this, requests looks into ~/.netrc at each call, and what it finds there wins over our key.
        session.auth = _as_it_is
        session.hooks["response"].append(self._note_answer)
        self._exporter = OTLPSpanExporter(endpoint=self.endpoint, headers=self._headers, session=session)
        # The exporter draws a random number before each request, from the program's own generator: a program that
        # seeds it would no longer repeat itself. Two processes that wait equally long do no harm here.
        self._exporter._client._compute_backoff = _doubled  # type: ignore[method-assign]

    def send(self, spans: Sequence[ReadableSpan]) -> Outcome:
        self._status = None
        if self._exporter.export(spans) is SpanExportResult.SUCCESS:
            return Outcome.DELIVERED
        if self._status is not None and 400 <= self._status < 500 and self._status not in _TRY_AGAIN:
            complain("refused spans", "%s answered %d; %d spans are lost", self.endpoint, self._status, len(spans))
            return Outcome.REFUSED
        return Outcome.UNREACHABLE

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _note_answer(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self._status = response.status_code
        if response.status_code != 200 or int(response.headers.get("content-length") or 0) > _MAX_ANSWER_BYTES:
            return
        try:
            partial = ExportTraceServiceResponse.FromString(response.content).partial_success
        except DecodeError:
            return
        if partial.rejected_spans:
            message = "%s rejected %d spans: %s"
            complain("rejected spans", message, self.endpoint, partial.rejected_spans, partial.error_message)
