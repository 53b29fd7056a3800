"""T25: ten times more than fits, from one project: it is refused at once, and the others notice nothing."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.factories import TRACE_ID, otlp_request, plain_span, span_id
from tests.security.operator import Operator
from tests.serving import RunningServer, running_server
from tests.waiting import until

MIB = 1 << 20
IN_FLIGHT = 4 * MIB
NOISY_SENDERS = 20
NOISY_BODY = 2 * MIB  # together ten times what may be in flight
MOST_MEMORY = 1536 * MIB  # with 256 MiB of what waits, and the engine at work


@dataclass
class Sender:
    """Posts with its key, one request after the other, and keeps what it was answered, and how fast."""

    server: RunningServer
    key: str
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: dict[int, list[float]] = field(default_factory=dict)

    def post(self, client: httpx.Client, body: bytes) -> int:
        headers = {"content-type": "application/x-protobuf", "authorization": f"Bearer {self.key}"}
        began = time.monotonic()
        status = client.post(f"{self.server.url}/v1/traces", content=body, headers=headers).status_code
        self.seconds.setdefault(status, []).append(time.monotonic() - began)
        self.statuses[status] += 1
        return status

    def flood(self, ending: threading.Event) -> None:
        rnd = random.Random(threading.get_ident())
        before, after = noisy_body(rnd)
        with httpx.Client(timeout=60) as client:
            while not ending.is_set():
                try:
                    self.post(client, before + rnd.randbytes(8) + after)
                except httpx.TransportError:  # refused before the body was read
                    self.statuses[503] += 1


def noisy_body(rnd: random.Random) -> tuple[bytes, bytes]:
    """A request but for its span's id."""
    id_ = b"\xffspan id"[:8]
    span = plain_span(id_=id_, attributes={"noise": rnd.randbytes(NOISY_BODY // 2).hex()})
    before, after = otlp_request(span).SerializeToString().split(id_)
    return before, after


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    environment = os.environ | {
        "BACKTRAIL_MAX_BYTES_IN_FLIGHT": str(IN_FLIGHT),
        "BACKTRAIL_INBOX_BYTES": str(64 * MIB),
    }
    with running_server(tmp_path / "data", env=environment) as server:
        yield server


def memory_of(server: RunningServer) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


@pytest.mark.parametrize("seconds", [4, pytest.param(120, marks=[pytest.mark.nightly, pytest.mark.timeout(300)])])
def test_t25_one_project_sends_ten_times_what_fits_and_another_is_taken_as_ever(
    server: RunningServer, tmp_path: Path, seconds: int
) -> None:
    with Operator(tmp_path / "data") as operator:
        for project in ("noisy", "quiet"):
            operator.create_project(project)
        noisy = Sender(server, operator.create_key("noisy", "ingest"))
        quiet = Sender(server, operator.create_key("quiet", "ingest", "read"))

    ending = threading.Event()
    flood = [threading.Thread(target=noisy.flood, args=[ending]) for _ in range(NOISY_SENDERS)]
    for thread in flood:
        thread.start()
    deadline = time.monotonic() + seconds
    memory = 0
    with httpx.Client(timeout=60) as client:
        while time.monotonic() < deadline:
            number = quiet.statuses.total() + 1
            quiet.post(client, otlp_request(plain_span(str(number), id_=span_id(number))).SerializeToString())
            memory = max(memory, memory_of(server))
            time.sleep(0.05)
        ending.set()
        for thread in flood:
            thread.join()
        until(lambda: noisy.post(client, otlp_request(plain_span("after")).SerializeToString()) == 200)

        print(f"noisy {noisy.statuses}, quiet {quiet.statuses}, memory {memory >> 20} MiB")
        for sender, status in ((noisy, 503), (noisy, 200), (quiet, 200)):
            taken = sorted(sender.seconds.get(status, [0]))
            print(f"  {status}: median {taken[len(taken) // 2] * 1e3:.0f} ms, most {taken[-1] * 1e3:.0f} ms")
        assert noisy.statuses[503] > 10
        assert set(noisy.statuses) <= {200, 503}
        assert set(quiet.statuses) == {200}
        assert memory < MOST_MEMORY

        headers = {"authorization": f"Bearer {quiet.key}"}
        wanted = {str(number) for number in range(1, quiet.statuses[200] + 1)}
        deadline = time.monotonic() + 60
        while names(client, server, headers) != wanted:
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.1)


def names(client: httpx.Client, server: RunningServer, headers: dict[str, str]) -> set[str]:
    answer = client.get(f"{server.url}/api/v1/traces/{TRACE_ID.hex()}", headers=headers).json()
    return {span["name"] for span in answer.get("spans", [])}
