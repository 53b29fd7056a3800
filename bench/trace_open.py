"""Opening one trace of 10,000 spans through the query API of a real server process.

    python -m bench.trace_open

Timed from the request to the last byte of the answer; what the client makes of the JSON is its own affair.
"""

import os
import tempfile
import time
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.otlp_bodies import Kind, make_bodies
from tests.serving import running_server

SPANS = 10_000
OPENINGS = 15
PROTOBUF = {"content-type": "application/x-protobuf"}
SIZES: dict[Kind, str] = {"light": "650 B", "full": "3 KB"}


def send_one_trace(client: httpx.Client, kind: Kind) -> str:
    """The usual bodies with every trace id made the same."""
    one = os.urandom(16)
    for body in make_bodies(kind):
        content = body.content
        for trace_id in body.trace_ids:
            content = content.replace(trace_id, one)
        client.post("/v1/traces", content=content, headers=PROTOBUF).raise_for_status()
    return one.hex()


def wait_until_whole(client: httpx.Client, trace_id: str) -> None:
    counted = 0
    while counted < SPANS:
        time.sleep(0.5)
        answer = client.get(f"/api/v1/runs/{trace_id}")
        counted = answer.json()["span_count"] if answer.is_success else 0


def open_repeatedly(client: httpx.Client, path: str) -> tuple[float, int]:
    """The median time, and the bytes of the answer."""
    times = []
    for _ in range(OPENINGS):
        started = time.perf_counter()
        size = len(client.get(path).raise_for_status().content)
        times.append(time.perf_counter() - started)
    return sorted(times)[OPENINGS // 2], size


def main() -> None:
    table = Table("10,000 spans of", "answer", "size", "median")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder)) as server,
        httpx.Client(base_url=server.url, timeout=120, headers={"accept-encoding": "identity"}) as client,
    ):
        for kind, size_name in SIZES.items():
            trace_id = send_one_trace(client, kind)
            wait_until_whole(client, trace_id)
            for path in (f"/api/v1/traces/{trace_id}", f"/api/v1/runs/{trace_id}"):
                median, size = open_repeatedly(client, path)
                table.add_row(size_name, path.replace(trace_id, "ID"), f"{size / 1e6:.1f} MB", f"{median * 1e3:.0f} ms")
    Console().print(table)


if __name__ == "__main__":
    main()
