# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "backtrail",
#     "langfuse",
#     "langsmith",
#     "lmnr",
#     "logfire",
#     "mlflow-tracing",
#     "opik",
#     "traceloop-sdk",
# ]
#
# [tool.uv.sources]
# backtrail = { path = "../tracer", editable = true }
# ///
"""What one recorded call costs the thread that makes it: Backtrail's step beside the decorators of seven peers.

    the same function | a bare OTel span around it | @step, @observe, @traceable, … around it

Each SDK has a process of its own, all with the same packages, one after the other; in each, rounds of the bare span
and of the decorator alternate, so the column to compare is the ratio. Every decorator records arguments and result with
its own defaults and its own queue; what leaves the queue goes to an exporter that forgets it, or, where an SDK takes
none, to a local server that answers 200 to everything. A second table has what importing each costs.

    make bench-peers
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

ROUNDS = 30
CALLS = 200
ORDER = {
    "status": "shipped",
    "carrier": "DHL",
    "items": [{"sku": f"LAMP-{number}", "name": "Reading lamp, glass shade", "euros": 49.0} for number in range(4)],
    "address": {"street": "Example Street 7", "city": "Hamburg", "country": "DE"},
}

Function = Callable[..., Any]
Peer = tuple[Function, Callable[[Function], Function]]  # the decorated call, and what makes a parent of many calls


class Nowhere(SpanExporter):
    """Takes every span and forgets it."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def look_up(order_id: str, customer: str, limit: int = 10) -> dict[str, Any]:
    return ORDER


# --- One function for each SDK: set it up as its documentation does, and decorate ---------------------------


def backtrail(sink: str) -> Peer:
    import backtrail

    backtrail.configure(sink, service_name="bench")
    return backtrail.tool(look_up), lambda function: backtrail.run(backtrail.agent(function))


def logfire(sink: str) -> Peer:
    import logfire

    processors = [BatchSpanProcessor(Nowhere())]
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=processors)
    return logfire.instrument("look_up", record_return=True)(look_up), logfire.instrument("parent")


def langfuse(sink: str) -> Peer:
    from langfuse import Langfuse, observe

    Langfuse(public_key="pk-lf-bench", secret_key="sk-lf-bench", base_url=sink, span_exporter=Nowhere())
    return observe(as_type="tool")(look_up), observe()


def traceloop(sink: str) -> Peer:
    from traceloop.sdk import Traceloop
    from traceloop.sdk.decorators import tool, workflow

    Traceloop.init("bench", exporter=Nowhere(), telemetry_enabled=False, instruments=set())
    return tool(name="look_up")(look_up), workflow(name="parent")


def lmnr(sink: str) -> Peer:
    from lmnr import Laminar, observe

    host, port = sink.rsplit(":", 1)
    Laminar.initialize(project_api_key="bench", base_url=host, http_port=int(port), force_http=True, instruments=set())
    return observe(span_type="TOOL")(look_up), observe()


def langsmith(sink: str) -> Peer:
    os.environ.update(LANGSMITH_TRACING="true", LANGSMITH_ENDPOINT=sink, LANGSMITH_API_KEY="bench")
    from langsmith import traceable

    return traceable(run_type="tool")(look_up), traceable()


def opik(sink: str) -> Peer:
    os.environ.update(OPIK_URL_OVERRIDE=f"{sink}/api", OPIK_API_KEY="bench", OPIK_WORKSPACE="bench")
    import opik

    return opik.track(type="tool")(look_up), opik.track


def mlflow(sink: str) -> Peer:
    os.environ.update(MLFLOW_TRACKING_URI=sink)
    import mlflow
    from mlflow.entities.trace_location import MlflowExperimentLocation

    # Without a destination it asks the server for one, and what the sink answers turns every span into none.
    mlflow.tracing.set_destination(MlflowExperimentLocation(experiment_id="0"))
    return mlflow.trace(span_type="TOOL")(look_up), mlflow.trace


PEERS: dict[str, tuple[Callable[[str], Peer], str]] = {
    "backtrail": (backtrail, "backtrail"),
    "logfire": (logfire, "logfire"),
    "langfuse": (langfuse, "langfuse"),
    "traceloop-sdk": (traceloop, "traceloop.sdk"),
    "lmnr": (lmnr, "lmnr"),
    "langsmith": (langsmith, "langsmith"),
    "opik": (opik, "opik"),
    "mlflow-tracing": (mlflow, "mlflow"),
}


# --- Measuring ----------------------------------------------------------------------------------------------


def nanoseconds_a_call(call: Function) -> float:
    order_ids = [f"A-{number}" for number in range(CALLS)]
    start = time.thread_time_ns()
    for order_id in order_ids:
        call(order_id, "customer-7")
    return (time.thread_time_ns() - start) / CALLS


def measure(name: str, sink: str) -> None:
    """One SDK, in this process: prints what the function, a bare span and the decorator cost, in microseconds."""
    decorated, as_parent = PEERS[name][0](sink)
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    tracer = provider.get_tracer("bench")
    attributes = {"input": json.dumps({"order_id": "A-1", "customer": "customer-7"}), "output": json.dumps(ORDER)}
    attributes |= {f"attribute.{number}": "a value of some length" for number in range(20)}

    def bare(order_id: str, customer: str) -> object:
        with tracer.start_as_current_span("look_up", attributes=attributes):
            return look_up(order_id, customer)

    def parent() -> float:
        return nanoseconds_a_call(decorated)

    round_of_calls = as_parent(parent)
    round_of_calls()
    rounds = []
    for _ in range(ROUNDS):
        rounds.append((nanoseconds_a_call(look_up), nanoseconds_a_call(bare), round_of_calls()))
        time.sleep(0.05)  # the queues empty themselves; nobody's calls are meant to wait for that
    alone, with_span, with_decorator = (statistics.median(column) / 1e3 for column in zip(*rounds, strict=True))
    print(json.dumps({"alone": alone, "bare": with_span, "decorated": with_decorator}), flush=True)
    os._exit(0)  # some of them would try for minutes to deliver the rest


class Sink(BaseHTTPRequestHandler):
    """Answers 200 to everything."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_PUT = do_PATCH = answer

    def log_message(self, *_: object) -> None: ...


class SinkServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A measured process ends without closing its connections."""


def import_seconds(module: str) -> float:
    """The best of several processes; the first leaves bytecode for the others, whatever the machine's setting is."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def once() -> float:
        program = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return float(done.stdout.splitlines()[-1])

    return min(once() for _ in range(8))


def main() -> None:
    server = SinkServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sink = f"http://127.0.0.1:{server.server_port}"
    print(f"median of {ROUNDS} rounds of {CALLS} calls; µs of the calling thread's CPU; import: s of CPU, best of 8\n")
    print(f"{'':26}{'bare span':>11}{'decorated':>11}{'ratio':>8}{'import':>9}")
    for name, (_, module) in PEERS.items():
        title = f"{name} {importlib.metadata.version(name)}"
        done = subprocess.run([sys.executable, __file__, name, sink], capture_output=True, text=True, timeout=300)
        lines = [line for line in done.stdout.splitlines() if line.startswith('{"alone"')]
        if not lines:
            print(f"{title:26}  not measured: {done.stderr[-300:]}")
            continue
        seen = json.loads(lines[-1])
        bare, decorated = seen["bare"] - seen["alone"], seen["decorated"] - seen["alone"]
        print(
            f"{title:26}{bare:11.1f}{decorated:11.1f}{decorated / bare:8.1f}{import_seconds(module):9.2f}", flush=True
        )
    base = import_seconds("opentelemetry.sdk.trace, pydantic")
    print(f"{'opentelemetry.sdk.trace + pydantic':56}{base:9.2f}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        with contextlib.suppress(KeyboardInterrupt):
            measure(sys.argv[1], sys.argv[2])
    else:
        main()
