"""kill -9 while spans pour in: what was acknowledged is there afterwards, once."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.factories import otlp_request, plain_span, span_id
from tests.serving import RunningServer, running_server
from tests.waiting import until

ROUNDS = 6
SENDERS = 3
SPANS_PER_REQUEST = 20
PROTOBUF = {"content-type": "application/x-protobuf"}


@dataclass
class Sender:
    """Sends one trace's spans, request after request, and keeps its own book of what was acknowledged."""

    trace_id: bytes
    sent: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)

    def send_until_the_server_is_gone(self, url: str) -> None:
        first = 1
        with httpx.Client(timeout=10) as client:
            while True:
                ids = [span_id(number) for number in range(first, first + SPANS_PER_REQUEST)]
                body = otlp_request(*(self._span(id_) for id_ in ids)).SerializeToString()
                names = {id_.hex() for id_ in ids}
                self.sent |= names
                try:
                    if client.post(f"{url}/v1/traces", content=body, headers=PROTOBUF).status_code == 200:
                        self.acknowledged |= names
                except httpx.TransportError:
                    return
                first += SPANS_PER_REQUEST

    def _span(self, id_: bytes) -> Span:
        return plain_span(trace_id=self.trace_id, id_=id_, attributes={"filler": id_.hex() * 100})


def end_under_load(server: RunningServer, senders: list[Sender], end: Callable[[], object], *, after: float) -> None:
    threads = [threading.Thread(target=sender.send_until_the_server_is_gone, args=[server.url]) for sender in senders]
    for thread in threads:
        thread.start()
    time.sleep(after)
    end()
    for thread in threads:
        thread.join()


def assert_every_span_is_accounted_for(server: RunningServer) -> None:
    lines = [
        line for line in httpx.get(f"{server.url}/metrics").text.splitlines() if line.startswith("backtrail_spans")
    ]
    counts = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
    received = counts.pop("backtrail_spans_received_total")
    assert received == sum(counts.values())


@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(200, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)])])
def test_t1_after_kills_under_load_every_acknowledged_span_is_there_once(tmp_path: Path, rounds: int) -> None:
    rnd = random.Random(11)
    senders: list[Sender] = []
    for _ in range(rounds):
        with running_server(tmp_path / "data") as server:
            round_ = [Sender(rnd.randbytes(16)) for _ in range(SENDERS)]
            end_under_load(server, round_, server.kill, after=rnd.uniform(0.2, 1.2))
        senders += round_

    assert_read_once(tmp_path / "data", senders)
    assert sum(len(sender.acknowledged) for sender in senders) > 100 * rounds


def test_t12_a_stop_under_load_is_orderly_and_loses_nothing(tmp_path: Path) -> None:
    senders = [Sender(random.Random(number).randbytes(16)) for number in range(SENDERS)]
    with running_server(tmp_path / "data") as server:
        end_under_load(server, senders, server.stop, after=1)
        assert server.process.returncode == 0

    assert_read_once(tmp_path / "data", senders)


def assert_read_once(data: Path, senders: list[Sender]) -> None:
    with running_server(data) as server:
        until(lambda: "backtrail_spans_waiting 0.0" in httpx.get(f"{server.url}/metrics").text)
        for sender in senders:
            answer = httpx.get(f"{server.url}/api/v1/traces/{sender.trace_id.hex()}", timeout=60)
            there = [span["span_id"] for span in answer.json().get("spans", [])]
            assert len(there) == len(set(there))
            assert sender.acknowledged <= set(there) <= sender.sent
        assert_every_span_is_accounted_for(server)
