"""kill -9 while log records and spans pour in together: each acknowledged record is there afterwards, once.

A client that got no answer sends the same request again, to the next life of the server.
"""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from backtrail import Client
from tests.factories import log_record, logs_request
from tests.faults.test_kills import Sender as SpanSender
from tests.serving import running_server
from tests.waiting import until

ROUNDS = 3
RECORDS_PER_REQUEST = 20
PROTOBUF = {"content-type": "application/x-protobuf"}


@dataclass
class LogSender:
    """Every other request holds GenAI events, whose bodies have to be taken apart."""

    trace_id: bytes
    unanswered: list[int] = field(default_factory=list)
    sent: set[int] = field(default_factory=set)
    acknowledged: set[int] = field(default_factory=set)

    def send_until_the_server_is_gone(self, url: str) -> None:
        with httpx.Client(timeout=10) as client:
            while True:
                numbers = self.unanswered or list(range(len(self.sent), len(self.sent) + RECORDS_PER_REQUEST))
                self.unanswered = numbers
                self.sent |= set(numbers)
                try:
                    client.post(f"{url}/v1/logs", content=self._body(numbers), headers=PROTOBUF).raise_for_status()
                except httpx.TransportError:
                    return
                self.acknowledged |= set(numbers)
                self.unanswered = []

    def _body(self, numbers: list[int]) -> bytes:
        is_event = numbers[0] // RECORDS_PER_REQUEST % 2 == 1
        return logs_request(
            *(
                log_record(
                    {"content": f"message {number}"} if is_event else "a line",
                    event_name="gen_ai.user.message" if is_event else "",
                    attributes={"number": number},
                    trace_id=self.trace_id,
                )
                for number in numbers
            )
        ).SerializeToString()


def test_t1_after_kills_under_load_every_acknowledged_log_record_is_there_once(tmp_path: Path) -> None:
    rnd = random.Random(12)
    logs = LogSender(rnd.randbytes(16))
    for _ in range(ROUNDS):
        with running_server(tmp_path / "data") as server:
            senders: list[LogSender | SpanSender] = [logs, SpanSender(rnd.randbytes(16))]
            threads = [
                threading.Thread(target=sender.send_until_the_server_is_gone, args=[server.url]) for sender in senders
            ]
            for thread in threads:
                thread.start()
            time.sleep(rnd.uniform(0.3, 1.0))
            server.kill()
            for thread in threads:
                thread.join()

    with running_server(tmp_path / "data") as server:
        until(lambda: "backtrail_log_records_waiting 0.0" in httpx.get(f"{server.url}/metrics").text)
        found = numbers_in(server.url, logs.trace_id.hex())
    assert max(found.values()) == 1
    assert logs.acknowledged <= set(found) <= logs.sent
    assert len(logs.acknowledged) > ROUNDS * RECORDS_PER_REQUEST


def numbers_in(url: str, trace_id: str) -> Counter[int]:
    numbers: Counter[int] = Counter()
    with Client(url) as client:
        page = client.logs(trace_id=trace_id, limit=1000)
        numbers.update(record.attributes["number"] for record in page.logs)
        while page.next_cursor is not None:
            page = client.logs(trace_id=trace_id, limit=1000, cursor=page.next_cursor)
            numbers.update(record.attributes["number"] for record in page.logs)
    return numbers
