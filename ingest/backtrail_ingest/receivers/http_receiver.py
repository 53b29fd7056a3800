"""OTLP over HTTP: POST /v1/traces, protobuf or JSON, plain or compressed. Nothing under /v1 redirects.

    client → **http_receiver** → (decompression) → (otlp_json) → admission → inspection → inbox → 200

Answers speak the request's encoding, refusals too.
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus

import grpc
from google.protobuf.json_format import MessageToJson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router

from backtrail_ingest.admission import Admission, Room
from backtrail_ingest.errors import Disconnected, Overloaded, Refusal, UnsupportedEncoding
from backtrail_ingest.receivers.decompression import DECODERS, decompress
from backtrail_ingest.receivers.lingering import LingeringResponse
from backtrail_ingest.receivers.otlp_json import to_protobuf
from backtrail_ingest.receivers.status import response_of, status_bytes, status_json
from backtrail_ingest.requests.apart import Apart
from backtrail_ingest.signals import SIGNALS, WHAT_IS_TAKEN, Signal

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
SMALL_JSON = 1 << 16  # converted in about a millisecond
BODY_SECONDS = 30  # three times as long as an exporter waits for its answer
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_router() -> Router:
    """Everything under /v1. The app keeps its `Admission` in its state, and puts a `project` into each request's."""
    exports = [
        Route(path, partial(export, signal), methods=["POST"])
        for signal in SIGNALS.values()
        for path in (signal.path, f"{signal.path}/")
    ]
    others = [Route(f"/{area}/{{path:path}}", refuse_path, methods=METHODS) for area in ("v1", "v1development")]
    return Router(routes=[*exports, *others], redirect_slashes=False)


async def export(signal: Signal, request: Request) -> Response:
    admission: Admission = request.app.state.admission
    body = None
    try:
        project: str = request.state.project
        with admission.room(project) as room:
            content_type = check_content_type(request)
            body = await read_body(request, room)
            if content_type == JSON:
                body = await convert(signal, body, admission.apart, project)
            receipt = await admission.receive(project, body, signal)
    except Refusal as refusal:
        answer = refuse(request, refusal, retry_after=admission.retry_after)
        return LingeringResponse(answer) if body is None else answer  # the rest of a body is not worth reading
    response = response_of(signal, receipt)
    if content_type == JSON:
        return Response(MessageToJson(response, indent=None), media_type=JSON)
    return Response(response.SerializeToString(), media_type=PROTOBUF)


async def convert(signal: Signal, body: bytes, apart: Apart, project: str) -> bytes:
    if len(body) <= SMALL_JSON:
        return to_protobuf(signal.request, body)
    return await apart.lane(len(body)).run(project, to_protobuf, signal.request, body)


async def refuse_path(request: Request) -> Response:
    path = request.url.path.rstrip("/")
    if path in (signal.path for signal in SIGNALS.values()):
        message = f"{request.method} is not possible here: POST an OTLP request as {PROTOBUF} or {JSON}"
        return answer_status(request, 405, grpc.StatusCode.UNIMPLEMENTED, message, headers={"allow": "POST"})
    message = f"there is nothing at {request.url.path}: {WHAT_IS_TAKEN}"
    return answer_status(request, HTTPStatus.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED, message)


def check_content_type(request: Request) -> str:
    content_type = media_type(request)
    if content_type not in (PROTOBUF, JSON):
        raise UnsupportedEncoding(f"content type {content_type or 'missing'!r}: send {PROTOBUF} or {JSON}")
    return content_type


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, room: Room) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal():
        room.expect(int(declared))
    body = []
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in pieces_of(request):
                room.add(len(piece))
                body.append(piece)
    except TimeoutError as error:
        raise Overloaded(f"the body did not arrive within {BODY_SECONDS} seconds") from error
    except ClientDisconnect as error:
        raise Disconnected("the client went away in the middle of its body") from error
    return b"".join(body)


def pieces_of(request: Request) -> AsyncIterator[bytes]:
    encoding = ", ".join(request.headers.getlist("content-encoding")).strip().lower()
    if encoding in ("", "identity"):
        return request.stream()
    if encoding in DECODERS:
        return decompress(request.stream(), encoding)
    raise UnsupportedEncoding(f"content encoding {encoding!r}: send one of {', '.join(DECODERS)}, or none")


def refuse(request: Request, refusal: Refusal, *, retry_after: int) -> Response:
    headers = {}
    if isinstance(refusal, Overloaded):
        headers["retry-after"] = str(retry_after)
    return answer_status(request, refusal.http_status, refusal.grpc_status, str(refusal), headers=headers)


def answer_status(
    request: Request, http_status: int, code: grpc.StatusCode, message: str, *, headers: dict[str, str] | None = None
) -> Response:
    if media_type(request) == JSON:
        return Response(status_json(code, message), http_status, headers, JSON)
    return Response(status_bytes(code, message), http_status, headers, PROTOBUF)
