"""What a run hands to another process is recorded there, as part of the same run."""

import json
import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import backtrail
from backtrail import semconv
from backtrail._processes.sent import Sender
from backtrail._runs.scope import current_position
from backtrail.testing import capture_spans
from tests.tracer.receiver import receiving

PROGRAM = Path(__file__).with_name("pools_program.py")


def said(span: Span, name: str) -> Any:
    for attribute in span.attributes:
        if attribute.key == name:
            value = attribute.value
            if value.HasField("array_value"):
                return [each.string_value for each in value.array_value.values]
            return value.string_value if value.HasField("string_value") else value.int_value
    return None


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_every_pool_and_process_of_a_run_records_into_it(method: str) -> None:
    with receiving() as receiver:
        command = [sys.executable, str(PROGRAM), receiver.url, method]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
        final = [span for span in receiver.spans if said(span, semconv.KIND) != "pending"]

    assert (done.returncode, done.stderr) == (0, "")
    was_inside, unpicklable, *results = done.stdout.splitlines()
    assert was_inside == "True False"
    assert unpicklable == results[8]
    assert unpicklable.startswith("PicklingError")
    assert results[7] == "LookupError"
    assert results[-2:] == ["0", "0"]
    run = next(span for span in final if span.name == "main")
    inside = [span for span in final if span.trace_id == run.trace_id]
    steps = [span for span in inside if said(span, semconv.KIND) == "step"]
    made = Counter(json.loads(said(step, semconv.STEP_INPUT))["name"] for step in steps)
    assert made == {
        "submit": 1,
        "map": 2,
        "chunk": 4,
        "broken": 1,
        "apply": 1,
        "apply_async": 1,
        "pool": 3,
        "map_async": 2,
        "starmap": 2,
        "starmap_async": 1,
        "imap": 2,
        "imap_unordered": 2,
        "target": 1,
        "run method": 1,
    }
    assert len({said(step, semconv.STEP_KEY) for step in steps}) == len(steps)
    assert {said(span, semconv.QUERY) for span in inside} == {"Where is it?"}
    by_id = {span.span_id: span for span in inside}
    leader = next(span for span in inside if span.name == "invoke_agent lead")
    for span in inside:
        if span.name == "invoke_agent helper":
            assert by_id[span.parent_span_id] is leader
            assert said(span, semconv.TASK_CHAIN) == [said(leader, semconv.TASK_ID)]
    for step in steps:
        is_delegated = by_id[step.parent_span_id] is not leader
        assert (said(step, semconv.DEPTH), by_id[step.parent_span_id].name) in (
            [(1, "invoke_agent helper")] if is_delegated else [(0, "invoke_agent lead")]
        )
    numbers: dict[str, list[int]] = {}
    for span in inside:
        numbers.setdefault(said(span, semconv.PROCESS), []).append(said(span, semconv.NUMBER))
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in numbers.values())


@backtrail.run
def run_of(function: Any) -> Any:
    return function()


def test_settings_that_cannot_be_pickled_keep_a_spawned_process_from_recording(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "backtrail._processes.sent.configured_with", lambda: {"service_name": "shop", "redact": lambda text: ""}
    )

    def settings() -> Any:
        position = current_position.get()
        assert position is not None
        return Sender(position).send(print)._settings

    with capture_spans():
        assert run_of(settings) is None
    assert "redact= of configure() cannot be pickled" in caplog.text
    monkeypatch.setattr(
        "backtrail._processes.sent.configured_with", lambda: {"service_name": "shop", "exporters": [lambda: 1]}
    )
    with capture_spans():
        assert run_of(settings) == {"service_name": "shop"}


def test_outside_a_run_pools_are_handed_what_they_are_given() -> None:
    with capture_spans():
        run_of(int)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
            assert executor.submit(os.path.basename, "a/b").result() == "b"
