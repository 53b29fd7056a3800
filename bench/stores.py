"""How many spans a second are really stored: Backtrail beside Phoenix and MLflow, the same bodies in one run.

    sender → each store by its own server and its defaults → the rows in its own tables

    make bench-stores                            some minutes: the peers are waited for
    python -m bench.stores --bodies 2            to see whether it works at all

Phoenix and MLflow are installed from PyPI, each into an environment of its own. All three keep their data in a local
folder and take OTLP over HTTP. A span counts when it can be read from the store's tables, not when it was acknowledged:
the clock runs from the first request until all are there, or, where spans were acknowledged and never come, until the
last that did.
"""

import argparse
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.ingest import let_go, sender
from bench.otlp_bodies import BODIES, SPANS_PER_BODY
from bench.watched import Memory, processor_seconds
from tests.serving import running_server

START_SECONDS = 300
SETTLED_SECONDS = 20  # nothing more has come for so long


@dataclass(frozen=True, slots=True)
class Serving:
    """A store that takes spans: where, with which headers, by which process, and how to count what it has."""

    url: str
    pid: int
    count: Callable[[], int]
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    name: str
    sent: int
    acknowledged: int
    stored: int
    seconds: float
    cpu_seconds: float
    peak_memory: int
    refusals: int
    failures: int


@contextmanager
def backtrail(folder: Path) -> Iterator[Serving]:
    def count() -> int:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            lines = [line for line in client.get("/metrics").text.splitlines() if line[:1] != "#"]
        return int(float(dict(line.rsplit(" ", 1) for line in lines)["backtrail_spans_stored_total"]))

    with running_server(folder) as server:
        yield Serving(server.url, server.process.pid, count)


@contextmanager
def phoenix(folder: Path) -> Iterator[Serving]:
    port = free_port()
    environment = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    with installed("arize-phoenix", ["phoenix", "serve"], environment, f"http://127.0.0.1:{port}/healthz") as process:
        yield Serving(f"http://127.0.0.1:{port}", process.pid, lambda: rows(folder / "phoenix.db"))


@contextmanager
def mlflow(folder: Path) -> Iterator[Serving]:
    port, database = free_port(), folder / "mlflow.db"
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{database}", "--default-artifact-root", str(folder / "artifacts")]
    with installed("mlflow", command, {}, f"http://127.0.0.1:{port}/health") as process:
        experiment = ("x-mlflow-experiment-id=0",)
        yield Serving(f"http://127.0.0.1:{port}", process.pid, lambda: rows(database), experiment)


STORES = {"backtrail": backtrail, "arize-phoenix": phoenix, "mlflow": mlflow}


@contextmanager
def installed(
    package: str, command: list[str], environment: dict[str, str], health: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program of a package that uv installs for itself; entered when it says it is well, ended with its children."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["uv", "tool", "run", "--from", package, *command],
            env=os.environ | environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            for _ in range(START_SECONDS):
                if process.poll() is not None:
                    break
                try:
                    if httpx.get(health, timeout=5).is_success:
                        break
                except httpx.TransportError:
                    time.sleep(1)
            if process.poll() is not None:
                output.seek(0)
                raise RuntimeError(f"{package} did not start: {output.read()[-1000:].decode()}")
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def rows(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return int(connection.execute("SELECT count(*) FROM spans").fetchone()[0])


def version_of(package: str) -> str:
    command = ["uv", "tool", "run", "--from", package, "python", "-c"]
    program = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([*command, program], capture_output=True, text=True, check=True).stdout.strip()


def measure(name: str, *, bodies: int, patience: float) -> Stored:
    with tempfile.TemporaryDirectory() as folder, STORES[name](Path(folder)) as store:
        headers = [argument for header in store.headers for argument in ("--header", header)]
        with (
            sender(store.url, "stock", -(-bodies // BODIES), "--bodies", str(bodies), *headers) as process,
            Memory.watched(store.pid) as memory,
        ):
            cpu_before, began = processor_seconds(store.pid), time.perf_counter()
            result = json.loads(let_go(process))
            stored, at = counted(store, result["spans"], patience=patience)
            cpu = processor_seconds(store.pid) - cpu_before
        return Stored(
            name,
            bodies * SPANS_PER_BODY,
            result["spans"],
            stored,
            at - began,
            cpu,
            memory.peak,
            result["refusals"],
            result["failures"],
        )


def counted(store: Serving, wanted: int, *, patience: float) -> tuple[int, float]:
    """How many spans there are in the end, and when the last of them was seen."""
    found, at, deadline = 0, time.perf_counter(), time.perf_counter() + patience
    while found < wanted and time.perf_counter() < min(deadline, at + SETTLED_SECONDS):
        now = store.count()
        if now > found:
            found, at = now, time.perf_counter()
        time.sleep(0.2)
    return found, at


def table(results: list[tuple[str, Stored]]) -> Table:
    table = Table("store", "sent", "acknowledged", "stored", "in", "spans/s", "CPU µs/span", "peak memory", "refused")
    for title, seen in results:
        table.add_row(
            title,
            f"{seen.sent:,}",
            f"{seen.acknowledged:,}",
            f"{seen.stored:,}",
            f"{seen.seconds:.1f} s",
            f"{seen.stored / seen.seconds:,.0f}",
            f"{seen.cpu_seconds / max(seen.stored, 1) * 1e6:,.0f}",
            f"{seen.peak_memory >> 20} MB",
            f"{seen.refusals} for the moment, {seen.failures} for good",
        )
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bodies", type=int, default=BODIES, help=f"requests of {SPANS_PER_BODY} spans for each store")
    parser.add_argument("--longer", type=int, default=20, help="so many times more for Backtrail in a second round")
    parser.add_argument("--patience", type=float, default=600, help="seconds to wait for what was acknowledged")
    parser.add_argument("--only", choices=STORES, action="append", help="these stores (default: all)")
    options = parser.parse_args()
    results: list[tuple[str, Stored]] = []
    for name in options.only or STORES:
        try:
            title = f"{name} {version_of(name) if name != 'backtrail' else ''}".strip()
            results.append((title, measure(name, bodies=options.bodies, patience=options.patience)))
        except (RuntimeError, subprocess.CalledProcessError) as error:
            print(f"{name} was not measured: {error}", file=sys.stderr)
    if "backtrail" in (options.only or STORES):
        results.append(
            (
                "backtrail, longer",
                measure("backtrail", bodies=options.bodies * options.longer, patience=options.patience),
            )
        )
    Console(width=150).print(table(results))
    return 0 if len(results) == len(options.only or STORES) + 1 else 1


if __name__ == "__main__":
    sys.exit(main())
