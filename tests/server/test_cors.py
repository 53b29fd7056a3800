"""Pages of named origins may send telemetry and read every answer; others may not, and nobody may by default."""

import os
from collections.abc import Iterator

import httpx
import pytest
from pydantic import ValidationError
from starlette.responses import PlainTextResponse

from backtrail_server.cors import Cors
from backtrail_server.settings import Settings
from tests.factories import otlp_request, plain_span
from tests.serving import RunningServer, running_server

PAGE = "https://app.example"
PROTOBUF = {"content-type": "application/x-protobuf"}
BODY = otlp_request(plain_span()).SerializeToString()
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-encoding,content-type,x-own",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    origins = {"BACKTRAIL_CORS_ORIGINS": f"{PAGE}, http://localhost:3000", "BACKTRAIL_MAX_REQUEST_BYTES": "100000"}
    with running_server(tmp_path_factory.mktemp("cors"), env=os.environ | origins) as server:
        yield server


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/v1/metrics"])
def test_a_named_origin_is_told_what_it_may_send(server: RunningServer, path: str) -> None:
    answer = httpx.options(server.url + path, headers=PREFLIGHT)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == PREFLIGHT["access-control-request-headers"]
    assert int(answer.headers["access-control-max-age"]) > 0


def test_its_pages_may_send_and_read_the_answer(server: RunningServer) -> None:
    answer = httpx.post(f"{server.url}/v1/traces", content=BODY, headers=PROTOBUF | {"origin": PAGE})

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-expose-headers"] == "Retry-After"


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/v1/traces", b"\xff", PROTOBUF, 400),
        ("/v1/traces", bytes(100_001), PROTOBUF, 413),
        ("/v1/traces", b"", {"content-type": "text/plain"}, 415),
        ("/v1/metrics", b"", PROTOBUF, 404),
        ("/v1/traces", b"", PROTOBUF | {"host": "evil.example"}, 403),
    ],
)
def test_refusals_can_be_read_as_well(
    server: RunningServer, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = httpx.post(server.url + path, content=body, headers=headers | {"origin": PAGE})

    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{PAGE}.evil.example", "http://app.example"])
def test_other_origins_are_refused_and_may_read_nothing(server: RunningServer, origin: str) -> None:
    preflight = httpx.options(f"{server.url}/v1/traces", headers=PREFLIGHT | {"origin": origin})
    sent = httpx.post(f"{server.url}/v1/traces", content=BODY, headers=PROTOBUF | {"origin": origin})

    assert (preflight.status_code, sent.status_code) == (400, 403)
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in sent.headers


def test_the_api_stays_closed_to_pages(server: RunningServer) -> None:
    answer = httpx.get(f"{server.url}/api/v1/runs", headers={"origin": PAGE})

    assert "access-control-allow-origin" not in answer.headers


async def test_any_origin_goes_without_credentials() -> None:
    app = Cors(PlainTextResponse(), frozenset("*"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        answer = await client.options("/v1/traces", headers=PREFLIGHT)

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


def test_what_is_no_origin_is_named() -> None:
    with pytest.raises(ValidationError, match=r"'https://app\.example/path' is no origin"):
        Settings(cors_origins="https://app.example/path")
