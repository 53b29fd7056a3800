"""Errors become problem details (RFC 9457): what was asked, what was seen, what to do.

routes, params, at, fold ──raise──▶ **errors** ──▶ application/problem+json

QueryError
├── BadParameter          400   the words of the request cannot be read
├── NotFound              404   well asked, but there is no such thing in this project
├── CheckpointGap         409   a record is missing, so a state would be a guess
└── UnreadableDelta       409   a recorded write has no shape we know: the same
"""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from backtrail_store.errors import StoreError, StoreUnavailable

PROBLEM = "application/problem+json"
RETRY_AFTER_SECONDS = 2


class QueryError(Exception):
    """A request that gets an answer other than the one hoped for; the message is the problem's detail."""

    status = 400
    title = "Bad request"
    type = "about:blank"

    @property
    def extension(self) -> Mapping[str, object]:
        """Members beyond the standard ones, for programs."""
        return {}


class BadParameter(QueryError):
    """A parameter cannot be read. Answer 400: the same request would fail the same way."""


class NotFound(QueryError):
    """Nothing of that name in this project. Answer 404."""

    status = 404
    title = "Not found"


class RunNotFound(NotFound):
    """No span of such a run is readable, or not yet: a client that has just sent one may ask again."""

    type = "urn:backtrail:problem:unknown-run"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"no run or trace {run_id} is stored in this project")


class SpanNotFound(NotFound):
    """No such span of the trace is readable, or not yet."""

    type = "urn:backtrail:problem:unknown-span"

    def __init__(self, trace_id: str, span_id: str) -> None:
        super().__init__(f"no span {span_id} of trace {trace_id} is stored in this project")


class CheckpointGap(QueryError):
    """Records are missing, so the state asked for cannot be told. Answer 409, naming them."""

    status = 409
    title = "The record has a gap"
    type = "urn:backtrail:problem:gap"

    def __init__(self, message: str, *, numbers: Mapping[str, list[int]] | None = None, seq: int | None = None) -> None:
        super().__init__(message)
        self.numbers = dict(numbers or {})
        self.seq = seq

    @property
    def extension(self) -> Mapping[str, object]:
        return {"gap": {"missing_numbers": self.numbers, "seq": self.seq}}


class UnreadableDelta(QueryError):
    """A recorded write is not of the agreed shape, so the state after it cannot be told. Answer 409."""

    status = 409
    title = "The record cannot be read"
    type = "urn:backtrail:problem:unreadable-delta"


def install(app: FastAPI) -> None:
    """Makes every error of the app a problem document."""
    app.add_exception_handler(QueryError, _query_error)
    app.add_exception_handler(RequestValidationError, _unprocessable)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(StoreUnavailable, _store_unavailable)
    app.add_exception_handler(StoreError, _store_error)
    app.add_exception_handler(Exception, _internal_error)


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    type_: str = "about:blank",
    extension: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    document = {"type": type_, "title": title, "status": status, "detail": detail, **(extension or {})}
    return Response(to_json(document), status, headers, media_type=PROBLEM)


def _query_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, QueryError)
    return problem(error.status, error.title, str(error), type_=error.type, extension=error.extension)


def _unprocessable(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [{"at": ".".join(map(str, one["loc"])), "message": one["msg"]} for one in error.errors()]
    detail = "; ".join(f"{one['at'].removeprefix('query.')}: {one['message']}" for one in errors)
    return problem(422, "The request does not have the expected shape", detail, extension={"errors": errors})


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail if error.detail != "Not Found" else f"nothing is served at {request.url.path}"
    return problem(error.status_code, error.detail, detail, headers=error.headers)


def _store_unavailable(request: Request, error: Exception) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return problem(503, "The store does not answer", f"{error}; try again in a moment", headers=headers)


def _store_error(request: Request, error: Exception) -> Response:
    return problem(500, "The store could not answer", str(error))


def _internal_error(request: Request, error: Exception) -> Response:
    return problem(500, "Internal error", "Backtrail failed to answer; the server's log says why")
