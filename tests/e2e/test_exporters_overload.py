"""Stock exporters meet refusals and a server that is away for a moment: no span is lost (T26).

exporter (its own process, everything at its default) → receivers → admission → inbox
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from backtrail_ingest import Admission, GrpcReceiver, Ledger, create_router, open_inbox
from backtrail_ingest.errors import Overloaded
from backtrail_ingest.receivers.grpc_receiver import calling_project
from backtrail_server.process import Server, new_loop, web_config
from tests.serving import RunningServer, running_server
from tests.waiting import until

EXPORTERS = Path(__file__).parent / "exporters"
HTTP, GRPC = "HTTP", "GRPC"
COUNT = 1000
OVERLOAD_SECONDS = 5
MIB = 1 << 20


class DefaultProject:
    """What the gate does, for everybody."""

    name = "default"

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["project"] = self.name
        await self._app(scope, receive, send)


class OverloadedReceivers:
    """Both receivers and a real inbox, in a thread. For want of room they refuse everything, until they get some."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(CollectorRegistry())
        self.http_endpoint = self.grpc_endpoint = ""
        self._folder = folder
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def refusals(self) -> float:
        samples = [sample for metric in self.ledger.collect() for sample in metric.samples]
        return sum(sample.value for sample in samples if sample.name == "backtrail_requests_refused_total")

    def make_room(self) -> None:
        self._admission.max_bytes_in_flight = 64 * MIB

    def __enter__(self) -> "OverloadedReceivers":
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        app = FastAPI(middleware=[Middleware(DefaultProject)])
        calling_project.set(DefaultProject.name)
        app.router.routes.extend(create_router().routes)
        with open_inbox(self._folder / "inbox.sqlite", max_bytes=64 * MIB, ledger=self.ledger) as inbox:
            self._admission = app.state.admission = Admission(
                inbox, self.ledger, max_request_bytes=MIB, max_bytes_in_flight=MIB, retry_after=2
            )
            grpc = GrpcReceiver(host="127.0.0.1", port=0, max_connections=100, max_request_bytes=MIB)
            async with grpc, grpc.serving(self._admission):
                self._admission.max_bytes_in_flight = 0
                listener = socket.create_server(("127.0.0.1", 0))
                self.http_endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
                self.grpc_endpoint = f"http://127.0.0.1:{grpc.port}"
                config = web_config(app, grace=1, max_connections=100, log_config=None)
                self._server = Server(config, self._ready.set)
                await self._server.serve([listener])


def deliver_through_overload(folder: Path, *commands: list[str], cwd: Path | None = None) -> None:
    """HTTP and GRPC in a command stand for the endpoints."""
    with OverloadedReceivers(folder) as receivers, ExitStack() as processes:
        endpoints = {HTTP: receivers.http_endpoint, GRPC: receivers.grpc_endpoint}
        started = []
        for command in commands:
            process = subprocess.Popen([endpoints.get(word, word) for word in command], cwd=cwd)
            processes.callback(process.kill)
            started.append(process)
        until(lambda: receivers.refusals >= len(commands))
        time.sleep(OVERLOAD_SECONDS)
        receivers.make_room()
        assert [process.wait(60) for process in started] == [0] * len(started)
        assert receivers.ledger.received == COUNT * len(commands)


def python_exporter(protocol: str, endpoint: str) -> list[str]:
    return [sys.executable, str(EXPORTERS / "python.py"), protocol, endpoint, str(COUNT)]


def test_t26_the_stock_python_exporters_lose_nothing_in_five_seconds_of_refusals(tmp_path: Path) -> None:
    deliver_through_overload(tmp_path, python_exporter("http", HTTP), python_exporter("grpc", GRPC))


@pytest.mark.nightly
def test_t26_nor_would_they_if_the_refusal_were_429(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Overloaded, "http_status", HTTPStatus.TOO_MANY_REQUESTS)

    deliver_through_overload(tmp_path, python_exporter("http", HTTP))


@pytest.mark.nightly
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_t26_the_stock_javascript_exporter_loses_nothing_in_five_seconds_of_refusals(
    tmp_path: Path, encoding: str
) -> None:
    """Over HTTP. Its gRPC exporter (0.223) tries nothing a second time, whatever the answer."""
    program = shutil.copytree(EXPORTERS / "javascript", tmp_path / "javascript")
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(install, cwd=program, check=True, stdout=subprocess.DEVNULL)

    deliver_through_overload(tmp_path, ["node", "main.mjs", encoding, HTTP, str(COUNT)], cwd=program)


@pytest.mark.nightly
@pytest.mark.timeout(900)  # the Go compiler's
@pytest.mark.parametrize(("protocol", "endpoint"), [("http", "HTTP"), ("grpc", "GRPC")])
def test_t26_the_stock_go_exporter_loses_nothing_in_five_seconds_of_refusals(
    tmp_path: Path, protocol: str, endpoint: str
) -> None:
    program = tmp_path / "go-exporter"
    subprocess.run(["go", "build", "-o", program, "."], cwd=EXPORTERS / "go", check=True)

    deliver_through_overload(tmp_path, [str(program), protocol, endpoint, str(COUNT)])


def free_ports() -> tuple[str, str]:
    """Two that are free now, and will most likely be in a moment."""
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return str(first.getsockname()[1]), str(second.getsockname()[1])


def test_t26_the_stock_python_exporters_lose_nothing_while_the_server_starts_again(tmp_path: Path) -> None:
    """With a minute's patience, since the machine that runs this test may be a busy one."""
    http_port, grpc_port = free_ports()
    server = partial(running_server, tmp_path / "data", "--port", http_port, "--grpc-port", grpc_port)
    commands = [
        python_exporter("http", f"http://127.0.0.1:{http_port}"),
        python_exporter("grpc", f"http://127.0.0.1:{grpc_port}"),
    ]
    with server() as before:
        for command in commands:
            subprocess.run(command, check=True, timeout=60)
        until(lambda: spans_stored(before) == 2 * COUNT)

    patient = os.environ | {"OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
    with ExitStack() as processes:
        started = [processes.enter_context(subprocess.Popen(command, env=patient)) for command in commands]
        with server() as after:
            assert [process.wait(90) for process in started] == [0, 0]
            until(lambda: spans_stored(after) == 2 * COUNT)


def spans_stored(server: RunningServer) -> float:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("backtrail_spans_stored_total"))
