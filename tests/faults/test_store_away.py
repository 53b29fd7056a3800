"""T8: while the ClickHouse server is away, requests are taken until the inbox is full; then everything arrives once."""

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.bad_network import BadNetwork, Condition, bad_network
from tests.clickhouse_http import clickhouse_listening
from tests.factories import otlp_request, plain_span, span_id
from tests.faults.test_quarantine import books_are_right, counted
from tests.serving import RunningServer, running_server
from tests.waiting import until

MIB = 1 << 20
STOP_SECONDS = 12  # ten are promised
CONDITIONS: list[Condition] = ["refused", "blackholed", "half-open"]


@pytest.fixture(scope="module")
def network(engine_folder: Path) -> Iterator[BadNetwork]:
    with clickhouse_listening(engine_folder) as address:
        server = urlsplit(address)
        with bad_network(str(server.hostname), server.port or 0) as network:
            yield network


@contextmanager
def serving(network: BadNetwork, data: Path, *, read_timeout: int = 2) -> Iterator[RunningServer]:
    store = f"clickhouse://127.0.0.1:{network.port}/away?connect_timeout=1&read_timeout={read_timeout}"
    environment = os.environ | {"BACKTRAIL_INBOX_BYTES": str(4 * MIB)}
    with running_server(data, "--store", store, env=environment) as server:
        yield server


@pytest.fixture(scope="module")
def server(network: BadNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(network, tmp_path_factory.mktemp("away")) as server:
        yield server


def trace_of(condition: Condition) -> bytes:
    return condition.encode().ljust(16, b"-")


def post(server: RunningServer, trace_id: bytes, number: int) -> httpx.Response:
    noise = random.Random(number).randbytes(100_000).hex()
    span = plain_span(str(number), trace_id=trace_id, id_=span_id(number), attributes={"noise": noise})
    body = otlp_request(span).SerializeToString()
    headers = {"content-type": "application/x-protobuf"}
    return httpx.post(f"{server.url}/v1/traces", content=body, headers=headers, timeout=30)


def post_until_full(server: RunningServer, trace_id: bytes, first: int) -> set[int]:
    """What was acknowledged; the refusal says to come again."""
    for number in range(first, first + 200):
        answer = post(server, trace_id, number)
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "2"
            assert b"the inbox is full" in answer.content
            return set(range(first, number))
        assert answer.status_code == 200
    raise AssertionError("the inbox never was full")


def stored(server: RunningServer, trace_id: bytes) -> list[int]:
    answer = httpx.get(f"{server.url}/api/v1/traces/{trace_id.hex()}", timeout=60)
    return sorted(int(span["name"]) for span in answer.json()["spans"])


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize(
    "seconds", [1, pytest.param(600, marks=[pytest.mark.nightly, pytest.mark.timeout(1200)])], ids=["short", "long"]
)
def test_t8_a_store_that_was_away_gets_everything_that_was_acknowledged_once(
    server: RunningServer, network: BadNetwork, condition: Condition, seconds: int
) -> None:
    trace_id = trace_of(condition)
    assert post(server, trace_id, 1).status_code == 200
    until(lambda: counted(server, "waiting") == 0, seconds=60)

    network.become(condition)
    acknowledged = {1} | post_until_full(server, trace_id, 2)
    time.sleep(seconds)
    assert len(acknowledged) > 10
    assert post(server, trace_id, 999).status_code == 503
    assert httpx.get(f"{server.url}/api/v1/runs", timeout=60).status_code == 503
    assert httpx.get(f"{server.url}/readyz", timeout=60).status_code == 503
    assert books_are_right(server)

    network.become("good")
    until(lambda: counted(server, "waiting") == 0, seconds=60)
    assert stored(server, trace_id) == sorted(acknowledged)
    assert post(server, trace_id, 1000).status_code == 200
    until(lambda: counted(server, "waiting") == 0, seconds=60)
    assert books_are_right(server)


def test_t12_a_server_whose_store_hangs_ends_in_time_and_writes_the_rest_next_time(
    server: RunningServer, network: BadNetwork, tmp_path: Path
) -> None:
    trace_id = b"stopped while away"[:16]
    with serving(network, tmp_path, read_timeout=60) as stopped:  # `server` has made the tables
        network.become("half-open")
        acknowledged = post_until_full(stopped, trace_id, 1)
        stopped.process.terminate()
        assert stopped.process.wait(STOP_SECONDS) == 0

    network.become("good")
    with serving(network, tmp_path) as again:
        until(lambda: counted(again, "waiting") == 0, seconds=60)
        assert stored(again, trace_id) == sorted(acknowledged)
