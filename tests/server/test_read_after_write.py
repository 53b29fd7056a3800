"""Who sends and then asks: `Prefer: wait=` has the answer hold what was acknowledged before."""

from pathlib import Path

import httpx

from tests.factories import START, TRACE_ID, otlp_request, plain_span, span_id
from tests.serving import RunningServer, running_server

PROTOBUF = {"content-type": "application/x-protobuf"}
RUN = TRACE_ID.hex()


def send(server: RunningServer, number: int) -> None:
    span = plain_span(f"span {number}", id_=span_id(number), start=START + number)
    sent = httpx.post(f"{server.url}/v1/traces", content=otlp_request(span).SerializeToString(), headers=PROTOBUF)
    assert sent.status_code == 200


def count(server: RunningServer, **headers: str) -> int:
    answer = httpx.get(f"{server.url}/api/v1/traces/{RUN}", headers=headers)
    return len(answer.json()["spans"]) if answer.status_code == 200 else 0


def test_each_span_is_in_the_answer_that_was_asked_for_right_after_its_acknowledgement(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        counts = []
        for number in range(1, 21):
            send(server, number)
            counts.append(count(server, Prefer="respond-async, wait=10"))
    assert counts == list(range(1, 21))


def test_a_preference_that_cannot_be_read_is_ignored_as_the_standard_says(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        send(server, 1)
        assert count(server, Prefer="wait=10") == 1
        for prefer in ("wait=soon", "wait=-1", "wait=99999999999999", "await=3", ";=,"):
            assert count(server, Prefer=prefer) == 1
