"""The way in, measured: a real server process, a sender in a second process, everything over HTTP.

    python -m bench.ingest [--quick]

A span counts when the query API can read it, not when it was acknowledged; processor time is the server's own, all
threads, as the kernel counts it. The sender shares the cores. `--quick` sends a tenth, to see whether it works at all.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.otlp_bodies import SPANS_PER_BODY, Kind, make_bodies
from bench.watched import Memory, bytes_on_disk, processor_seconds, resident_bytes
from tests.factories import otlp_request, plain_span
from tests.serving import RunningServer, running_server

PASSES: dict[Kind, int] = {"full": 20, "light": 50, "stock": 20, "stock-gzip": 10}
NAMES: dict[Kind, str] = {
    "full": "3 KB",
    "light": "650 B",
    "stock": "3 KB, stock exporter's",
    "stock-gzip": "3 KB, stock exporter's, gzip",
}
CONNECTIONS = (1, 8, 64)
LOADED_SPANS_PER_SECOND = 15_000
PROBES = 60
SETTLING_SECONDS = 15
READERS = 2
READER_PAUSE = 0.05
PROTOBUF = {"content-type": "application/x-protobuf"}


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent, over how many connections, and whether others ask questions meanwhile."""

    kind: Kind
    passes: int
    connections: int = 4
    is_queried: bool = False

    @property
    def name(self) -> str:
        connections = "" if self.connections == 4 else f", {self.connections} connections"
        return NAMES[self.kind] + connections + ", with queries" * self.is_queried


@dataclass
class Sustained:
    load: Load
    spans_per_second: float
    cpu_microseconds: float
    ack_seconds: list[float]
    peak_memory: int
    refusals: int
    query_seconds: list[float]


@contextmanager
def sender(url: str, kind: Kind, passes: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Entered when its bodies are encoded; write a line to let it go."""
    command = [sys.executable, "-m", "bench.sender", url, kind, str(passes), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


@dataclass
class Queries:
    """Readers who ask for the newest runs and open one of them, again and again, until the block ends."""

    url: str
    seconds: list[float] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            while not self._ended.wait(READER_PAUSE):
                runs = self._timed(client, "/api/v1/runs?limit=50").json()["runs"]
                if runs:
                    self._timed(client, f"/api/v1/runs/{runs[-1]['run_id']}")

    def _timed(self, client: httpx.Client, path: str) -> httpx.Response:
        began = time.perf_counter()
        answer = client.get(path).raise_for_status()
        self.seconds.append(time.perf_counter() - began)
        return answer

    @classmethod
    @contextmanager
    def running(cls, url: str, *, readers: int) -> "Iterator[Queries]":
        queries = cls(url)
        threads = [threading.Thread(target=queries.ask) for _ in range(readers)]
        for thread in threads:
            thread.start()
        try:
            yield queries
        finally:
            queries._ended.set()
            for thread in threads:
                thread.join()


def wait_until_readable(server: RunningServer, spans: int) -> None:
    with httpx.Client(base_url=server.url) as client:
        while True:
            counts = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
            if float(counts["backtrail_spans_stored_total"]) >= spans:
                return
            time.sleep(0.2)  # seldom: an answer costs as much as a few hundred spans


def measure_sustained(load: Load) -> Sustained:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder)) as server,
        sender(server.url, load.kind, load.passes, "--connections", str(load.connections)) as process,
        Memory.watched(server.process.pid) as memory,
        Queries.running(server.url, readers=READERS * load.is_queried) as queries,
    ):
        spans = load.passes * len(make_bodies("light")) * SPANS_PER_BODY
        cpu_before, began = processor_seconds(server.process.pid), time.perf_counter()
        result = json.loads(let_go(process))
        assert result["failures"] == 0, result
        wait_until_readable(server, spans)
        seconds = time.perf_counter() - began
        cpu = processor_seconds(server.process.pid) - cpu_before
    return Sustained(
        load,
        spans / seconds,
        cpu / spans * 1e6,
        result["latencies"],
        memory.peak,
        result["refusals"],
        sorted(queries.seconds),
    )


def let_go(process: subprocess.Popen[str]) -> str:
    return process.communicate("go\n")[0]


def measure_readable(server: RunningServer) -> list[float]:
    """From the acknowledgement of one span to the query API's answer with it."""
    delays = []
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for _ in range(PROBES):
            trace_id = os.urandom(16)
            body = otlp_request(plain_span(trace_id=trace_id, start=time.time_ns())).SerializeToString()
            client.post("/v1/traces", content=body, headers=PROTOBUF).raise_for_status()
            acknowledged = time.perf_counter()
            while not client.get(f"/api/v1/traces/{trace_id.hex()}").is_success:
                time.sleep(0.002)
            delays.append(time.perf_counter() - acknowledged)
            time.sleep(0.02)
    return sorted(delays)


def measure_readable_under_load(server: RunningServer) -> list[float]:
    passes = 1 + int(LOADED_SPANS_PER_SECOND * 12 / (20 * SPANS_PER_BODY))
    with sender(server.url, "full", passes, "--spans-per-second", str(LOADED_SPANS_PER_SECOND)) as process:
        thread = threading.Thread(target=let_go, args=[process])
        thread.start()
        time.sleep(1)
        delays = measure_readable(server)
        thread.join()
    return delays


def measure_disk(server: RunningServer, folder: Path) -> float:
    """Bytes received for each byte on disk, twenty bodies, once parts are merged and old ones gone."""
    bodies = make_bodies("full")
    with httpx.Client(base_url=server.url) as client:
        for body in bodies:
            client.post("/v1/traces", content=body.content, headers=PROTOBUF).raise_for_status()
    wait_until_readable(server, len(bodies) * SPANS_PER_BODY)
    return sum(len(body.content) for body in bodies) / settled_size(folder / "clickhouse" / "store")


def settled_size(folder: Path) -> int:
    """The folder's size once it has stayed the same for a while: merges are done, the parts they replaced are gone."""
    before, size = 0, bytes_on_disk(folder)
    while size != before:
        time.sleep(SETTLING_SECONDS)
        before, size = size, bytes_on_disk(folder)
    return size


def quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def in_milliseconds(ordered: Sequence[float], part: float) -> str:
    return f"{quantile(ordered, part) * 1e3:.0f} ms" if ordered else ""


def sustained_table(results: list[Sustained]) -> Table:
    table = Table("spans", "spans/s to queryable", "server CPU µs/span", "ack p50", "p99", "peak memory", "503s")
    table.add_column("query p50")
    table.add_column("p99")
    for result in results:
        table.add_row(
            result.load.name,
            f"{result.spans_per_second:,.0f}",
            f"{result.cpu_microseconds:.1f}",
            in_milliseconds(result.ack_seconds, 0.5),
            in_milliseconds(result.ack_seconds, 0.99),
            f"{result.peak_memory >> 20} MB",
            str(result.refusals),
            in_milliseconds(result.query_seconds, 0.5),
            in_milliseconds(result.query_seconds, 0.99),
        )
    return table


def readable_table(idle: list[float], loaded: list[float]) -> Table:
    table = Table("ack → readable", "p50", "p99")
    for name, delays in (("idle", idle), (f"under {LOADED_SPANS_PER_SECOND:,} spans/s of 3 KB", loaded)):
        table.add_row(name, in_milliseconds(delays, 0.5), in_milliseconds(delays, 0.99))
    return table


def loads(part: float) -> list[Load]:
    def passes(kind: Kind) -> int:
        return max(1, int(PASSES[kind] * part))

    kinds = [Load(kind, passes(kind)) for kind in PASSES]
    queried = [Load(kind, passes(kind), is_queried=True) for kind in ("full", "stock")]
    return [*kinds, *queried, *(Load("full", passes("full"), connections=count) for count in CONNECTIONS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="send a tenth, to see whether it works at all")
    quick = parser.parse_args().quick
    console = Console(width=140)
    console.print(sustained_table([measure_sustained(load) for load in loads(0.1 if quick else 1)]))
    with tempfile.TemporaryDirectory() as name, running_server(Path(name)) as server:
        folder = Path(name)
        ratio = measure_disk(server, folder)
        memory = resident_bytes(server.process.pid)
        console.print(readable_table(measure_readable(server), measure_readable_under_load(server)))
    console.print(f"disk: 1/{ratio:.1f} of the bytes received; memory of the idle server: {memory >> 20} MB")


if __name__ == "__main__":
    main()
