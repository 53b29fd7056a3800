"""Erasure over HTTP: when it is answered, no file of the data folder holds the text, and nothing brings it back."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client import CollectorRegistry

from backtrail_ingest import Ledger, open_inbox
from tests.factories import log_record, logs_request, otlp_request, plain_span, run_span, span_id, step_span
from tests.faults.test_kills import PROTOBUF, assert_every_span_is_accounted_for
from tests.ingest.conftest import envelope_of
from tests.serving import RunningServer, running_server
from tests.waiting import until

CANARY = "a canary nobody else says"
MINE, OTHER, REPLAY = (bytes([number]) * 16 for number in (1, 2, 3))


def canary_spans(trace_id: bytes, *, user: str = "u/1") -> list[Span]:
    said = {"gen_ai.tool.call.result": CANARY, "backtrail.query": CANARY}
    return [
        run_span(trace_id=trace_id, attributes={"user.id": user}),
        step_span(trace_id=trace_id, attributes=said),
        plain_span(CANARY, trace_id=trace_id, id_=span_id(7), attributes={"nested": {"said": CANARY}}),
    ]


def send(server: RunningServer, *spans: Span) -> None:
    body = otlp_request(*spans).SerializeToString()
    httpx.post(f"{server.url}/v1/traces", content=body, headers=PROTOBUF).raise_for_status()


def send_log(server: RunningServer, trace_id: bytes) -> None:
    body = logs_request(log_record(CANARY, trace_id=trace_id)).SerializeToString()
    httpx.post(f"{server.url}/v1/logs", content=body, headers=PROTOBUF).raise_for_status()


def delete(server: RunningServer, path: str) -> httpx.Response:
    return httpx.delete(f"{server.url}/api/v1/{path}", timeout=100)


def files_with_the_canary(data: Path) -> list[Path]:
    return [path for path in data.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """With a request in quarantine that holds a span of the run, and one of another."""
    data = tmp_path / "data"
    data.mkdir()
    with open_inbox(data / "inbox.sqlite", max_bytes=1 << 22, ledger=Ledger(CollectorRegistry())) as inbox:
        other = plain_span(trace_id=OTHER, id_=span_id(9))
        asyncio.run(inbox.append(envelope_of(canary_spans(MINE)[2], other)))
        inbox.quarantine(inbox.take(1).result(5)[0], f"cannot read {CANARY}")
    return data


@pytest.fixture
def server(data: Path) -> Iterator[RunningServer]:
    with running_server(data) as server:
        yield server


def test_an_erased_run_is_in_no_file_and_does_not_come_back(server: RunningServer, data: Path) -> None:
    send(server, *canary_spans(MINE))
    send(server, run_span("another", trace_id=OTHER))
    send(server, run_span("again", trace_id=REPLAY, attributes={"backtrail.replay.of": MINE.hex()}))
    send_log(server, MINE)
    assert files_with_the_canary(data)

    answer = delete(server, f"runs/{MINE.hex()}")

    assert answer.json() == {
        "run_ids": [MINE.hex()],
        "spans": 3,
        "contents": 1,
        "log_records": 1,
        "quarantined": 1,
        "replays": [REPLAY.hex()],
    }
    assert files_with_the_canary(data) == []
    send(server, *canary_spans(MINE))  # a client that had spooled it
    again = delete(server, f"runs/{MINE.hex()}")
    assert (again.status_code, again.json()["spans"]) == (200, 0)
    assert httpx.get(f"{server.url}/api/v1/runs/{MINE.hex()}").status_code == 404
    assert files_with_the_canary(data) == []
    assert_every_span_is_accounted_for(server)
    server.kill()
    with running_server(data) as server:
        send(server, *canary_spans(MINE))
        assert delete(server, f"runs/{MINE.hex()}").json()["spans"] == 0
        assert httpx.get(f"{server.url}/api/v1/runs/{OTHER.hex()}").is_success
    assert files_with_the_canary(data) == []


def test_erasing_a_user_takes_every_run_of_which_a_span_names_the_user(server: RunningServer, data: Path) -> None:
    send(server, *canary_spans(OTHER))
    send(server, run_span("somebody else's", trace_id=REPLAY, attributes={"user.id": "u2"}))

    answer = delete(server, "users/u/1")

    assert (answer.status_code, answer.json()["run_ids"], answer.json()["spans"]) == (200, [OTHER.hex()], 3)
    assert httpx.get(f"{server.url}/api/v1/runs/{REPLAY.hex()}").is_success
    assert delete(server, "users/nobody").json()["run_ids"] == []


def test_a_run_that_nobody_heard_of_is_not_found(server: RunningServer) -> None:
    answer = delete(server, f"runs/{REPLAY.hex()}")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_nobody_can_look_into_is_named_instead_of_calling_the_erasure_done(
    server: RunningServer, data: Path
) -> None:
    (data / "inbox.sqlite.damaged-1").write_text("who knows")
    send(server, *canary_spans(MINE))

    answer = delete(server, f"runs/{MINE.hex()}")

    assert answer.status_code == 409
    assert f"nobody can say whether it is also in {data}/inbox.sqlite.damaged-1" in answer.json()["detail"]
    assert files_with_the_canary(data) == []


def test_a_run_that_is_being_sent_while_it_is_erased_stays_gone(server: RunningServer, data: Path) -> None:
    is_erased = threading.Event()

    def send_again_and_again() -> None:
        for number in range(10, 10_000):
            if is_erased.is_set():
                return
            spans = canary_spans(MINE)
            spans[2].span_id = span_id(number)
            send(server, *spans)

    senders = [threading.Thread(target=send_again_and_again) for _ in range(3)]
    for sender in senders:
        sender.start()
    until(lambda: httpx.get(f"{server.url}/api/v1/runs/{MINE.hex()}").is_success)

    answer = delete(server, f"runs/{MINE.hex()}")
    is_erased.set()
    for sender in senders:
        sender.join()

    assert (answer.status_code, answer.json()["spans"] > 0) == (200, True)
    until(lambda: "backtrail_spans_waiting 0.0" in httpx.get(f"{server.url}/metrics").text)
    assert httpx.get(f"{server.url}/api/v1/runs/{MINE.hex()}").status_code == 404
    assert delete(server, f"runs/{MINE.hex()}").json()["spans"] == 0
    assert files_with_the_canary(data) == []


def test_an_erasure_in_whose_middle_the_server_was_killed_is_finished_by_the_next_one(
    server: RunningServer, data: Path
) -> None:
    send(server, *canary_spans(MINE))
    until(lambda: httpx.get(f"{server.url}/api/v1/runs/{MINE.hex()}").is_success)

    def ask() -> None:
        with contextlib.suppress(httpx.TransportError):
            delete(server, f"runs/{MINE.hex()}")

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: (data / "erasing").exists() or not asking.is_alive())
    server.kill()
    asking.join()

    with running_server(data) as server:
        until(lambda: httpx.get(f"{server.url}/api/v1/runs/{MINE.hex()}").status_code == 404)
        until(lambda: not (data / "erasing").exists())
        assert files_with_the_canary(data) == []
