"""The way in, measured: a real server process, a sender in a second process, everything over HTTP.

    python -m bench.ingest

A span counts when the query API can read it, not when it was acknowledged; processor time is the server's own, all
threads, as the kernel counts it. The sender shares the cores.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.otlp_bodies import SPANS_PER_BODY, Kind, make_bodies
from tests.factories import otlp_request, plain_span
from tests.serving import RunningServer, running_server

PASSES: dict[Kind, int] = {"full": 20, "light": 50}
LOADED_SPANS_PER_SECOND = 15_000
PROBES = 60
SETTLING_SECONDS = 15
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PROTOBUF = {"content-type": "application/x-protobuf"}


@dataclass
class Sustained:
    kind: Kind
    spans_per_second: float
    cpu_microseconds: float
    ack_seconds: list[float]
    peak_memory: int
    refusals: int


@dataclass
class Memory:
    """The largest resident size seen while the block ran."""

    pid: int
    peak: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self._ended.wait(0.1):
            self.peak = max(self.peak, resident_bytes(self.pid))

    @classmethod
    @contextmanager
    def watched(cls, pid: int) -> "Iterator[Memory]":
        memory = cls(pid, resident_bytes(pid))
        thread = threading.Thread(target=memory.watch)
        thread.start()
        try:
            yield memory
        finally:
            memory._ended.set()
            thread.join()


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def bytes_on_disk(folder: Path) -> int:
    """By asking the system's du, which does not mind files that vanish while it looks."""
    output = subprocess.run(["du", "-sb", str(folder)], capture_output=True, text=True, check=False).stdout
    return int(output.split()[0])


@contextmanager
def sender(url: str, kind: Kind, passes: int, spans_per_second: float = 0) -> Iterator[subprocess.Popen[str]]:
    """Entered when its bodies are encoded; write a line to let it go."""
    command = [sys.executable, "-m", "bench.sender", url, kind, str(passes), str(spans_per_second)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


def wait_until_readable(server: RunningServer, spans: int) -> None:
    with httpx.Client(base_url=server.url) as client:
        while True:
            counts = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
            if float(counts["backtrail_spans_stored_total"]) >= spans:
                return
            time.sleep(0.2)  # seldom: an answer costs as much as a few hundred spans


def measure_sustained(kind: Kind) -> Sustained:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder)) as server,
        sender(server.url, kind, PASSES[kind]) as process,
        Memory.watched(server.process.pid) as memory,
    ):
        spans = PASSES[kind] * len(make_bodies(kind)) * SPANS_PER_BODY
        cpu_before, began = processor_seconds(server.process.pid), time.perf_counter()
        output = let_go(process)
        wait_until_readable(server, spans)
        seconds = time.perf_counter() - began
        cpu = processor_seconds(server.process.pid) - cpu_before
        result = json.loads(output)
        return Sustained(kind, spans / seconds, cpu / spans * 1e6, result["latencies"], memory.peak, result["refusals"])


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
    with sender(server.url, "full", passes, LOADED_SPANS_PER_SECOND) as process:
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


def quantile(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def sustained_table(results: list[Sustained]) -> Table:
    table = Table("spans", "spans/s to queryable", "server CPU µs/span", "ack p50", "ack p99", "peak memory", "503s")
    for result in results:
        table.add_row(
            {"full": "3 KB", "light": "650 B"}[result.kind],
            f"{result.spans_per_second:,.0f}",
            f"{result.cpu_microseconds:.1f}",
            f"{quantile(result.ack_seconds, 0.5) * 1e3:.0f} ms",
            f"{quantile(result.ack_seconds, 0.99) * 1e3:.0f} ms",
            f"{result.peak_memory >> 20} MB",
            str(result.refusals),
        )
    return table


def readable_table(idle: list[float], loaded: list[float]) -> Table:
    table = Table("ack → readable", "p50", "p99")
    for name, delays in (("idle", idle), (f"under {LOADED_SPANS_PER_SECOND:,} spans/s of 3 KB", loaded)):
        table.add_row(name, f"{quantile(delays, 0.5) * 1e3:.0f} ms", f"{quantile(delays, 0.99) * 1e3:.0f} ms")
    return table


def main() -> None:
    console = Console()
    console.print(sustained_table([measure_sustained("full"), measure_sustained("light")]))
    with tempfile.TemporaryDirectory() as name, running_server(Path(name)) as server:
        folder = Path(name)
        ratio = measure_disk(server, folder)
        memory = resident_bytes(server.process.pid)
        console.print(readable_table(measure_readable(server), measure_readable_under_load(server)))
    console.print(f"disk: 1/{ratio:.1f} of the bytes received; memory of the idle server: {memory >> 20} MB")


if __name__ == "__main__":
    main()
