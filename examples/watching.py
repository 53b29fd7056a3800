"""What the examples with frameworks share: a model on this machine, a recorder, and a look at the run afterwards.

    stub_openai ◀─ a framework's agent ─▶ init_local, in this process ─▶ **what is printed, and checked**

The exit code is 0 only if every line under "Checked" held.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

import backtrail
from backtrail import semconv
from backtrail._reading import render as _render
from backtrail._reading.answers import Run, RunPage
from backtrail.client import Client
from examples.checks import Checks, names_in
from examples.stub_openai import StubServer, running_stub

QUESTION = "Where is my order A-1042?"

# The frameworks report home, each in its own way; an example has no business there.
SILENT = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "LANGSMITH_TRACING": "false",
    "OTEL_SDK_DISABLED": "false",
}


@contextmanager
def watched(framework: str, *, expected: Sequence[str]) -> Iterator[None]:
    """Run an agent in here; afterwards its run is shown. `expected` names what its tree has to hold."""
    with (
        tempfile.TemporaryDirectory(prefix="backtrail-example-") as folder,
        running_stub() as stub,
        backtrail.init_local(folder, service_name=framework) as client,
    ):
        os.environ |= SILENT | {
            "OPENAI_API_KEY": "stub",
            "OPENAI_BASE_URL": f"{stub.url}/v1",
            "OPENINFERENCE_ENABLE_GENAI_SEMCONV": "true",
        }
        yield
        checks = look(Console(width=100, highlight=False), client, stub, expected)
    if not checks.all_held:
        sys.exit(1)


def look(console: Console, client: Client, stub: StubServer, expected: Sequence[str]) -> Checks:
    runs = RunPage.model_validate_json(client.request("GET", "/api/v1/runs", params={"kind": "any"})).runs
    run = client.run(runs[0].run_id)
    console.print(_render.run_view(run))
    checks = Checks()
    checks.that("everything is in one trace", len(runs) == 1, [run.name for run in runs])
    checks.that("the run completed", run.status == "completed", run.status)
    names = names_in(run.tree)
    missing = [name for name in expected if not any(name in each for each in names)]
    checks.that(f"the tree holds {', '.join(expected)}", not missing, names)
    asked, counted = stub.requests.total(), run.llm_calls
    checks.that(f"the model was asked {asked} times, and as many calls are counted", asked == counted, counted)
    check_tokens(checks, run, stub)
    strangers = [span.name for span in client.trace(run.run_id).spans if span.attributes.get(semconv.QUERY) != QUESTION]
    checks.that("every span knows the customer's words", not strangers, strangers)
    checks.show(console, "the framework is as it was; the model is examples/stub_openai.py")
    return checks


def check_tokens(checks: Checks, run: Run, stub: StubServer) -> None:
    used = (stub.tokens["input"], stub.tokens["output"])
    claim = f"{used[0]} tokens in, {used[1]} out: each once, as the model counted them"
    checks.that(claim, (run.input_tokens, run.output_tokens) == used, (run.input_tokens, run.output_tokens))
    checks.that("their price is known", bool(run.cost_usd) and run.unpriced_calls == 0, run.cost_usd)
