"""OTLP over HTTP: POST /v1/traces, protobuf, plain or compressed. Nothing under /v1 redirects.

    client → **http_receiver** → admission → inspection → inbox → 200

Answers are protobuf; a client that spoke JSON is told in JSON that it was not understood.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator
from http import HTTPStatus

import grpc
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router

from backtrail_ingest.admission import DEFAULT_PROJECT, Admission, Room
from backtrail_ingest.errors import Overloaded, Refusal, RequestTooLarge, UndecodableRequest, UnsupportedEncoding
from backtrail_ingest.status import response_bytes, status_bytes, status_json

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
DECOMPRESSED_PIECE = 1 << 20
BODY_SECONDS = 30  # three times as long as an exporter waits for its answer
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_router() -> Router:
    """Everything under /v1. The app it is part of keeps its `Admission` in `app.state.admission`."""
    return Router(
        routes=[
            Route("/v1/traces", export_traces, methods=["POST"]),
            Route("/v1/traces/", export_traces, methods=["POST"]),
            Route("/v1/{path:path}", refuse_path, methods=METHODS),
            Route("/v1development/{path:path}", refuse_path, methods=METHODS),
        ],
        redirect_slashes=False,
    )


async def export_traces(request: Request) -> Response:
    admission: Admission = request.app.state.admission
    try:
        check_content_type(request)
        with admission.room() as room:
            body = await read_body(request, room, admission.max_request_bytes)
            receipt = await admission.receive(getattr(request.state, "project", DEFAULT_PROJECT), body)
    except Refusal as refusal:
        admission.ledger.refused_request(type(refusal).__name__)
        return refuse(request, refusal, retry_after=admission.retry_after)
    except ClientDisconnect:
        return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
    return Response(response_bytes(receipt), media_type=PROTOBUF)


async def refuse_path(request: Request) -> Response:
    if request.url.path in ("/v1/traces", "/v1/traces/"):
        message, status = f"{request.method} is not possible here: POST an ExportTraceServiceRequest", 405
        return answer_status(request, status, grpc.StatusCode.UNIMPLEMENTED, message, headers={"allow": "POST"})
    message = f"there is nothing at {request.url.path}: Backtrail takes traces, at /v1/traces"
    return answer_status(request, HTTPStatus.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED, message)


def check_content_type(request: Request) -> None:
    content_type = media_type(request)
    if content_type == JSON:
        raise UnsupportedEncoding(f"OTLP/JSON is not read yet: send protobuf as {PROTOBUF}")
    if content_type != PROTOBUF:
        raise UnsupportedEncoding(f"content type {content_type or 'missing'!r}: send protobuf as {PROTOBUF}")


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, room: Room, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise RequestTooLarge(f"{declared} bytes are over the limit of {limit}: send smaller batches")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    match encoding:
        case "identity" | "":
            pieces: AsyncIterator[bytes] = request.stream()
        case "gzip" | "deflate":
            pieces = decompress(request.stream())
        case _:
            raise UnsupportedEncoding(f"content encoding {encoding!r}: send gzip, deflate or none")
    body = []
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in pieces:
                room.add(len(piece))
                body.append(piece)
    except TimeoutError as error:
        raise Overloaded(f"the body did not arrive within {BODY_SECONDS} seconds") from error
    return b"".join(body)


async def decompress(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Piece by piece, so that the limit is met long before a bomb has gone off. gzip and zlib alike."""
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        async for piece in pieces:
            while piece:
                yield decoder.decompress(piece, DECOMPRESSED_PIECE)
                piece = decoder.unconsumed_tail
            if decoder.unused_data:
                raise UndecodableRequest("there are bytes after the end of the compressed body")
        yield decoder.flush()
    except zlib.error as error:
        raise UndecodableRequest(f"the body cannot be decompressed: {error}") from error
    if not decoder.eof:
        raise UndecodableRequest("the compressed body ends too early")


def refuse(request: Request, refusal: Refusal, *, retry_after: int) -> Response:
    headers = {}
    if isinstance(refusal, Overloaded):
        headers["retry-after"] = str(retry_after)
    if isinstance(refusal, Overloaded | RequestTooLarge):
        headers["connection"] = "close"  # the rest of the body is not worth reading
    return answer_status(request, refusal.http_status, refusal.grpc_status, str(refusal), headers=headers)


def answer_status(
    request: Request, http_status: int, code: grpc.StatusCode, message: str, *, headers: dict[str, str] | None = None
) -> Response:
    if media_type(request) == JSON:
        return Response(status_json(code, message), http_status, headers, JSON)
    return Response(status_bytes(code, message), http_status, headers, PROTOBUF)
