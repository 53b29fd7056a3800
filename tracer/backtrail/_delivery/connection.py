"""One HTTP request, bounded in time and in what is read of its answer, whatever the other side does.

    delivery → **Connection** → the receiver

A timeout of the HTTP library counts from byte to byte: an answer of one byte a second would hold the exporting
thread for hours. So the socket is cut when the time for the whole request is over.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401  (else imported while connecting: a fork in that moment leaves its lock taken)
import gzip
import http.client
import logging
import os
import socket
import threading
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import requests
from opentelemetry.util.re import parse_env_headers
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from backtrail._endpoint import is_loopback
from backtrail._version import __version__

EXPORT_THREAD = "backtrail-export"
MAX_ANSWER_BYTES = 65_536

_SECONDS = 10.0
_MOST_SECONDS = 3_600.0
_COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


def _is_not_ours(record: logging.LogRecord) -> bool:
    return record.threadName != EXPORT_THREAD


# The HTTP library logs every request; for our own thread the processor says once that the server is away.
for _name in ("urllib3.connectionpool", "urllib3.connection"):
    logging.getLogger(_name).addFilter(_is_not_ours)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """`body` is None if it broke off, or was longer than anything we would read."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class Connection:
    """Posts to one URL, by OpenTelemetry's own variables where they say how."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._seconds = _seconds(_said("TIMEOUT"))
        encoding = (_said("COMPRESSION") or "none").strip().lower()
        self._compress = _COMPRESS.get(encoding)
        self._session = requests.Session()
        self._session.trust_env = not is_loopback(url)
        # Without this, requests looks into ~/.netrc at each call, and what it finds there wins over our key.
        self._session.auth = _as_it_is
        self._session.verify = _said("CERTIFICATE") or True
        if certificate := _said("CLIENT_CERTIFICATE"):
            key = _said("CLIENT_KEY")
            self._session.cert = (certificate, key) if key else certificate
        self._session.mount("http://", _WatchedAdapter())
        self._session.mount("https://", _WatchedAdapter())
        self._headers = {
            "user-agent": f"backtrail/{__version__}",
            "content-type": "application/x-protobuf",
            **({"content-encoding": encoding} if self._compress else {}),
            **parse_env_headers(_said("HEADERS") or "", liberal=True),
            **headers,
        }

    def post(self, body: bytes) -> HttpAnswer:
        """Raises OSError, of which all of requests' errors are."""
        data = self._compress(body) if self._compress is not None else body
        with _Deadline(self._seconds) as deadline:
            try:
                return self._post(data)
            except requests.exceptions.Timeout:
                raise
            except HTTPError as error:
                # Of the library below, where requests lets one through.
                raise ConnectionError(str(error)) from error
            except requests.exceptions.ConnectionError:
                if deadline.is_over:
                    raise
                # A connection that was kept open and closed by the server meanwhile; the next try makes a new one.
                return self._post(data)

    def _post(self, data: bytes) -> HttpAnswer:
        seconds = self._seconds
        with self._session.post(
            self._url, data=data, headers=self._headers, timeout=seconds, allow_redirects=False, stream=True
        ) as response:
            return HttpAnswer(response.status_code, response.headers, _short_body(response))

    def close(self) -> None:
        self._session.close()


def _short_body(response: requests.Response) -> bytes | None:
    # What is left unread goes with the connection. The status is the answer, even where the body breaks off.
    try:
        body: bytes = response.raw.read(MAX_ANSWER_BYTES + 1, decode_content=False)
    except (OSError, HTTPError):
        return None
    return body if len(body) <= MAX_ANSWER_BYTES else None


def _seconds(said: str | None) -> float:
    try:
        seconds = float(said or _SECONDS)
    except ValueError:
        return _SECONDS
    return seconds if 0 < seconds < _MOST_SECONDS else _SECONDS


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _said(name: str) -> str | None:
    """What OpenTelemetry's variable for traces says, or the one for all signals."""
    for variable in (f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"):
        if value := os.environ.get(variable):
            return value
    return None


class _Deadline:
    """Cuts the connection that it watches when the time is over."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._watched: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def watch(self, connection: socket.socket | None) -> None:
        self._watched = connection

    def __enter__(self) -> Self:
        _deadlines.current = self
        # While the interpreter ends no thread can be started; then it is the program that does not wait.
        with suppress(RuntimeError):
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        _deadlines.current = None

    def _cut(self) -> None:
        self.is_over = True
        if self._watched is not None:
            with suppress(OSError):
                self._watched.shutdown(socket.SHUT_RDWR)


_deadlines = threading.local()


class _Watched(http.client.HTTPConnection):
    """A connection whose answer is under the deadline of the thread that asked."""

    def getresponse(self) -> Any:
        if (deadline := getattr(_deadlines, "current", None)) is not None:
            deadline.watch(self.sock)
        return super().getresponse()


class _WatchedHttp(_Watched, HTTPConnection): ...


class _WatchedHttps(_Watched, HTTPSConnection): ...


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _WatchedHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHttps


class _WatchedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


_POOLS: dict[str, Any] = {"http": _HttpPool, "https": _HttpsPool}
