"""OTLP over HTTP against the real server: what it takes, what it refuses, and in which words."""

import asyncio
import gzip
import http.client
import json
import math
import os
import sys
import zlib
from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from backtrail_ingest import Admission, Ledger, admission, create_router
from backtrail_ingest.errors import Overloaded
from backtrail_ingest.receivers import http_receiver
from tests.factories import START, Attributes, key_values, otlp_request, plain_span, span_id
from tests.ingest.conftest import InboxFolder
from tests.serving import RunningServer, running_server
from tests.waiting import until

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1 << 20
PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    environment = os.environ | {"BACKTRAIL_MAX_REQUEST_BYTES": str(MIB)}
    with running_server(tmp_path_factory.mktemp("http"), env=environment) as server:
        yield server


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


def post(client: httpx.Client, body: bytes, path: str = "/v1/traces", **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(path, content=body, headers=PROTOBUF | sent)


def status_of(response: httpx.Response) -> Status:
    assert response.headers["content-type"] == "application/x-protobuf"
    return Status.FromString(response.content)


def names_in(client: httpx.Client, trace_id: bytes, count: int) -> list[str]:
    names: list[str] = []

    def are_there() -> bool:
        answer = client.get(f"/api/v1/traces/{trace_id.hex()}")
        names[:] = [span["name"] for span in answer.json().get("spans", [])]
        return len(names) >= count

    until(are_there)
    return names


def metric(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"backtrail_{name}"))


@pytest.mark.parametrize(
    ("path", "encoding", "encode"),
    [
        ("/v1/traces", "identity", bytes),
        ("/v1/traces/", "identity", bytes),
        ("/v1/traces", "gzip", gzip.compress),
        ("/v1/traces", "deflate", zlib.compress),
        ("/v1/traces", "zstd", zstd.compress),
    ],
)
def test_a_request_is_acknowledged_without_a_word_and_read_back(client: httpx.Client, path, encoding, encode) -> None:  # type: ignore[no-untyped-def]
    trace_id = os.urandom(16)
    body = otlp_request(plain_span("sent", trace_id=trace_id)).SerializeToString()

    answer = post(client, encode(body), path, content_encoding=encoding)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert names_in(client, trace_id, 1) == ["sent"]


def test_a_request_without_spans_is_fine(client: httpx.Client) -> None:
    assert post(client, b"").status_code == 200


def test_a_span_with_a_bad_id_is_named_and_the_others_are_stored(client: httpx.Client) -> None:
    trace_id = os.urandom(16)
    bad = plain_span("bad", trace_id=b"short")
    good = [plain_span(f"good {n}", trace_id=trace_id, id_=span_id(n)) for n in range(1, 4)]

    answer = post(client, otlp_request(good[0], bad, *good[1:]).SerializeToString())

    partial_success = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert answer.status_code == 200
    assert partial_success.rejected_spans == 1
    assert "span 'bad': trace_id of 5 bytes (73686f7274), wanted 16 bytes" in partial_success.error_message
    assert sorted(names_in(client, trace_id, 3)) == ["good 1", "good 2", "good 3"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (b"\xff\xff", {}, 400, "2 bytes are not an ExportTraceServiceRequest"),
        (b"plain", {"content_encoding": "gzip"}, 400, "cannot be decompressed"),
        (gzip.compress(b"x" * 1000)[:-20], {"content_encoding": "gzip"}, 400, "ends too early"),
        (gzip.compress(b"") + b"more", {"content_encoding": "gzip"}, 400, "after the end"),
        (b"", {"content_encoding": "br"}, 415, "content encoding 'br': send one of gzip, deflate, zstd, or none"),
        (b"", {"content_encoding": "gzip, gzip"}, 415, "content encoding 'gzip, gzip'"),
        (b"", {"content_type": "text/plain"}, 415, "content type 'text/plain'"),
        (bytes(MIB + 1), {}, 413, "over the limit of 1048576"),
        (gzip.compress(bytes(200 * MIB)), {"content_encoding": "gzip"}, 413, "larger than 1048576 bytes"),
    ],
    ids=["garbage", "no gzip", "cut gzip", "trailing", "br", "stacked", "text", "too large", "bomb"],
)
def test_what_cannot_be_taken_is_refused_with_a_reason(
    client: httpx.Client, body: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    answer = post(client, body, **headers)

    assert answer.status_code == status
    assert words in status_of(answer).message
    assert "retry-after" not in answer.headers


JSON = {"content_type": "application/json; charset=utf-8"}


def json_request(*spans: Span) -> bytes:
    """OTLP/JSON differs from protobuf's own in the ids."""
    request = MessageToDict(otlp_request(*spans))
    for span in request["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for id_ in span.keys() & {"traceId", "spanId"}:
            span[id_] = b64decode(span[id_]).hex()
    return json.dumps(request).encode()


@pytest.mark.parametrize("padding", [0, http_receiver.SMALL_JSON], ids=["small", "large"])
def test_json_is_acknowledged_in_json_and_read_back(client: httpx.Client, padding: int) -> None:
    trace_id = os.urandom(16)
    body = json_request(plain_span("sent", trace_id=trace_id, attributes={"padding": "x" * padding}))

    answer = post(client, gzip.compress(body), content_encoding="gzip", **JSON)

    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["content-type"] == "application/json"
    assert names_in(client, trace_id, 1) == ["sent"]


def test_json_and_protobuf_are_read_back_alike(client: httpx.Client) -> None:
    attributes: Attributes = {
        **{"text": "naïve 🦉", "empty": "", "int": 2**53 + 1, "least": -(2**63), "float": 0.1, "nan": math.nan},
        **{"whole": 2.0, "bool": False, "bytes": b"\xfb\xff", "none": None, "texts": ["a", ""], "nothing": []},
        **{"mixed": [1, "1", 1.0, None, [b"x"]], "map": {"deep": {"er": [{"est": 1}]}, "é": math.inf}},
    }
    event = Span.Event(time_unix_nano=START, name="retry", attributes=key_values(attributes))
    answers = []
    for encode, headers in ((json_request, JSON), (lambda span: otlp_request(span).SerializeToString(), {})):
        trace_id = os.urandom(16)
        span = plain_span("sent", trace_id=trace_id, attributes=attributes, events=[event], message="so so")
        assert post(client, encode(span), **headers).status_code == 200
        names_in(client, trace_id, 1)
        answers.append(client.get(f"/api/v1/traces/{trace_id.hex()}").text.replace(trace_id.hex(), "TRACE"))

    assert answers[0] == answers[1]


def test_a_bad_span_among_json_is_named_in_json(client: httpx.Client) -> None:
    body = json_request(plain_span("bad", trace_id=b"short"), plain_span("good", trace_id=os.urandom(16)))

    answer = post(client, body, **JSON)

    partial_success = answer.json()["partialSuccess"]
    assert (answer.status_code, partial_success["rejectedSpans"]) == (200, "1")
    assert "span 'bad': trace_id of 5 bytes" in partial_success["errorMessage"]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "code", "words"),
    [
        ("/v1/traces", b"{", {}, 400, 3, "1 bytes are not JSON: Expecting property name"),
        ("/v1/traces", b"{}", {"content_encoding": "br"}, 415, 3, "content encoding 'br'"),
        ("/v1/traces", b" " * (MIB + 1), {}, 413, 8, "over the limit of 1048576"),
        ("/v1/metrics", b"{}", {}, 404, 12, "there is nothing at /v1/metrics"),
    ],
)
def test_refusals_of_json_are_json(
    client: httpx.Client, path: str, body: bytes, headers: dict[str, str], status: int, code: int, words: str
) -> None:
    answer = post(client, body, path, **JSON, **headers)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert answer.json()["code"] == code
    assert words in answer.json()["message"]


def test_a_body_without_a_declared_length_is_measured_as_it_comes(server: RunningServer) -> None:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0)
    connection.request("POST", "/v1/traces", body=(bytes(65536) for _ in range(17)), headers=PROTOBUF)

    answer = connection.getresponse()

    assert answer.status == 413
    assert answer.getheader("connection") == "close"
    connection.close()


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1development/profiles", "/v1/", "/v1/traces/more"])
def test_unknown_paths_are_answered_in_otlps_own_words(client: httpx.Client, path: str) -> None:
    answer = post(client, b"", path)

    assert answer.status_code == 404
    assert path in status_of(answer).message


def test_only_post_is_possible(client: httpx.Client) -> None:
    answer = client.get("/v1/traces")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "POST an OTLP request" in status_of(answer).message


def test_pages_of_other_origins_are_allowed_nothing_by_default(client: httpx.Client) -> None:
    page = {"origin": "https://app.example", "access-control-request-method": "POST"}

    answer = client.options("/v1/traces", headers=page)

    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_every_span_is_accounted_for(client: httpx.Client) -> None:
    trace_id = os.urandom(16)
    good = otlp_request(*(plain_span(trace_id=trace_id, id_=span_id(n)) for n in range(1, 6))).SerializeToString()
    half = otlp_request(
        plain_span("half", trace_id=trace_id, id_=span_id(6)), plain_span("bad", id_=b"")
    ).SerializeToString()
    for body in (good, good, half, b"\xff\xff"):
        post(client, body)
    names_in(client, trace_id, 6)
    until(lambda: metric(client, "spans_waiting") == 0)

    assert metric(client, "spans_duplicates_total") == 5
    assert metric(client, 'spans_rejected_total{reason="span_id"}') == 1
    assert metric(client, "spans_received_total") == (
        metric(client, "spans_stored_total")
        + metric(client, "spans_duplicates_total")
        + metric(client, "spans_rejected_total")
        + metric(client, "spans_quarantined")
    )


def test_a_full_inbox_answers_503_and_when_to_come_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    environment = os.environ | {"BACKTRAIL_INBOX_BYTES": str(2 * MIB), "BACKTRAIL_BATCH_BYTES": "1"}
    with (
        running_server(tmp_path_factory.mktemp("full"), env=environment) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        for _ in range(200):
            noise = os.urandom(256 * 1024).hex()
            body = otlp_request(plain_span(trace_id=os.urandom(16), attributes={"noise": noise})).SerializeToString()
            answer = post(client, body)
            if answer.status_code != 200:
                break

        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert "the inbox is full" in status_of(answer).message
        until(lambda: post(client, body).status_code == 200)


async def test_a_body_that_trickles_in_is_given_up_so_that_its_client_may_come_again(
    inbox_folder: InboxFolder, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_receiver, "BODY_SECONDS", 0.1)

    async def receive() -> dict[str, object]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"\x0a", "more_body": True}

    with inbox_folder.opened(ledger) as inbox:
        admission = Admission(inbox, ledger, max_request_bytes=MIB, max_bytes_in_flight=MIB, retry_after=2)
        with admission.room("default") as room, pytest.raises(Overloaded, match="did not arrive"):
            await http_receiver.read_body(Request({"type": "http", "headers": []}, receive), room)


async def test_a_fault_of_ours_is_503_in_otlps_words_and_is_logged_once(
    inbox_folder: InboxFolder, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(admission, "inspect", break_down)
    app = Starlette(routes=create_router().routes)
    with inbox_folder.opened(ledger) as inbox:
        app.state.admission = Admission(inbox, ledger, max_request_bytes=MIB, max_bytes_in_flight=MIB, retry_after=2)
        transport = httpx.ASGITransport(app_of_project("default", app))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.post("/v1/traces", content=otlp_request().SerializeToString(), headers=PROTOBUF)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "Backtrail failed with ZeroDivisionError" in status_of(answer).message
    assert len(caplog.records) == 1


def app_of_project(project: str, app: ASGIApp) -> ASGIApp:
    """What the gate does, for everybody."""

    async def app_with_project(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"project": project}}, receive, send)

    return app_with_project


def test_thousands_of_bad_spans_have_a_short_answer(client: httpx.Client) -> None:
    bad = plain_span("b" * 100, trace_id=b"bad")

    answer = post(client, otlp_request(*[bad] * 5000, plain_span(trace_id=os.urandom(16))).SerializeToString())

    partial_success = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert partial_success.rejected_spans == 5000
    assert partial_success.error_message.endswith("and 4995 more")
    assert len(answer.content) < 4096
