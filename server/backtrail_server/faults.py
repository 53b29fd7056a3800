"""What breaks on the way to a receiver, in the gate, say: at 500 every exporter would drop its batch, so it is 503.

request → gate → receiver ──raise──▶ **faults** ──▶ google.rpc.Status
"""

from collections.abc import Callable
from typing import Any

import grpc
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from backtrail_ingest.receivers.http_receiver import answer_status
from backtrail_server.auth.answers import is_otlp


def install(app: FastAPI, *, retry_after: int) -> None:
    """Around what answers to faults elsewhere, which has to be installed before."""
    answer_elsewhere: Callable[[Request, Exception], Any] = app.exception_handlers[Exception]

    def answer(request: Request, error: Exception) -> Response:
        if not is_otlp(request.url.path):
            response: Response = answer_elsewhere(request, error)
            return response
        message = f"Backtrail failed with {type(error).__name__}; its log says more"
        headers = {"retry-after": str(retry_after)}
        return answer_status(request, 503, grpc.StatusCode.UNAVAILABLE, message, headers=headers)

    app.add_exception_handler(Exception, answer)
