"""What the SDK's tests share: captured spans, and a server that holds two recorded runs, a failed and a cut one."""

import gc
from collections.abc import Iterator

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail._boundary import _last_line
from backtrail.testing import CapturedSpans, capture_spans
from tests.factories import otlp_request
from tests.query_api.recorded import GAP_ID, failed_run
from tests.serving import running_server


@pytest.fixture(autouse=True)
def fresh_lines() -> None:
    """What was complained about in one test may be again in the next."""
    _last_line.clear()


@pytest.fixture
def no_detach_line(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """OpenTelemetry logs this where a context token was held across a `yield`."""
    yield
    gc.collect()
    assert [record.message for record in caplog.records if "detach" in record.message] == []


@pytest.fixture
def spans() -> Iterator[CapturedSpans]:
    with capture_spans() as spans:
        yield spans


def gap_run() -> list[Span]:
    spans = failed_run()
    del spans[1]
    for span in spans:
        span.trace_id = bytes.fromhex(GAP_ID)
        span.start_time_unix_nano -= 1_000
        span.end_time_unix_nano -= 1_000
    return spans


@pytest.fixture(scope="module")
def recorded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL."""
    body = otlp_request(*failed_run(), *gap_run()).SerializeToString()
    with running_server(tmp_path_factory.mktemp("data")) as server:
        headers = {"content-type": "application/x-protobuf"}
        httpx.post(f"{server.url}/v1/traces", content=body, headers=headers).raise_for_status()
        while len(httpx.get(f"{server.url}/api/v1/runs").json()["runs"]) < 2:
            pass
        yield server.url
