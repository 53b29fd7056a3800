"""What the smaller examples stand on: a server of their own, and the wait until a run can be read from it.

backtrail-server (own process, fresh folder) ◀─ **recorded here** ─ the example
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import backtrail
from backtrail import Client
from backtrail._reading.answers import Run
from examples.local_server import running_server

READABLE_SECONDS = 20


@contextmanager
def recorded_here(service_name: str) -> Iterator[tuple[Client, Path]]:
    """A client for the server, and a folder that goes when the example ends."""
    with (
        tempfile.TemporaryDirectory(prefix=f"{service_name}-") as folder,
        running_server(Path(folder)) as url,
        backtrail.configure(url, service_name=service_name) as client,
    ):
        yield client, Path(folder)


def ended(client: Client, run_id: str) -> Run:
    """The run, once the server has its end."""
    deadline = time.monotonic() + READABLE_SECONDS
    while (run := client.run(run_id)).status == "running":
        if time.monotonic() > deadline:
            raise TimeoutError(f"run {run_id} was not complete after {READABLE_SECONDS} s")
        time.sleep(0.05)
    return run


def newest(client: Client, count: int = 1, *, user_id: str | None = None) -> list[Run]:
    """The newest runs, the oldest of them first."""
    deadline = time.monotonic() + READABLE_SECONDS
    while len(runs := client.runs(limit=count, user_id=user_id).runs) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return [ended(client, run.run_id) for run in reversed(runs)]
