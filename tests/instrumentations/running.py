"""Runs one program against a provider and a server: what it did, and what the server has of it.

**running** → program → (OTLP) → server → GET /api/v1/runs, /api/v1/traces/{trace_id}
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.providers import Provider
from tests.serving import RunningServer

ROOT = Path(__file__).parents[2]
READ_AFTER_WRITE = {"Prefer": "wait=10"}
NOWHERE = "http://127.0.0.1:9"

Body = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """One scenario: the run as the list has it, and its trace."""

    run: Body
    trace: Body


@dataclass(frozen=True)
class Performed:
    requests: int  # what the provider was asked
    scenarios: dict[str, Told]


def perform(program: str, server: RunningServer, provider: Provider) -> Performed:
    asked_before, started = len(provider.requests), time.time_ns()
    command = [sys.executable, "-m", f"tests.instrumentations.programs.{program}"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(program, server, provider), capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stdout.splitlines()[-1])
    page = fetch(server, f"/api/v1/runs?limit=500&start={started}")
    runs = page["runs"][::-1]
    assert len(runs) == len(names), [run["name"] for run in runs]
    traces = [fetch(server, f"/api/v1/traces/{run['run_id']}") for run in runs]
    told = {name: Told(run, trace) for name, run, trace in zip(names, runs, traces, strict=True)}
    return Performed(len(provider.requests) - asked_before, told)


def fetch(server: RunningServer, path: str) -> Body:
    answer = httpx.get(f"{server.url}{path}", headers=READ_AFTER_WRITE, timeout=30)
    assert answer.is_success, answer.text
    content: Body = answer.json()
    return content


def environment(program: str, server: RunningServer, provider: Provider) -> dict[str, str]:
    """All that a program knows: nothing of ours, and nothing that leads away from this machine."""
    return {
        "PATH": "/usr/bin:/bin",
        "OTEL_SERVICE_NAME": program,
        # Not for all signals: some would send metrics, too.
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{server.url}/v1/traces",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{server.url}/v1/logs",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OPENAI_BASE_URL": f"{provider.url}/v1",
        "OPENAI_API_KEY": "sk-secret",
        "ANTHROPIC_BASE_URL": provider.url,
        "ANTHROPIC_API_KEY": "sk-secret",
        **WITH_CONTENT,
        **TELLING_NOBODY_ELSE,
    }


WITH_CONTENT = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_AND_EVENT",
    "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT": "true",
}
TELLING_NOBODY_ELSE = {
    "DO_NOT_TRACK": "true",
    "TRACELOOP_TELEMETRY": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_TRACKING_URI": NOWHERE,
    "LANGSMITH_ENDPOINT": NOWHERE,
    "LANGFUSE_BASE_URL": NOWHERE,
}
