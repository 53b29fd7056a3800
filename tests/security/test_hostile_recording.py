"""A recording made by a stranger, from the wire to a replay: it is data, and what it asks for does not happen.

    honest run → forged bytes → OTLP → server → bundle → client.replay → an error of ours, or plain values

The forgery replaces one recorded text and makes its length and digest right: nothing but the content speaks against it.
"""

import base64
import json
import os
import pickle
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import backtrail
from backtrail import Client, RunContext, semconv
from backtrail.errors import ApiError, BacktrailError
from tests.serving import RunningServer, running_server
from tests.tracer.receiver import receiving

MODULE = "tests.security.hostile_module"
PROTOBUF = {"content-type": "application/x-protobuf"}
DEEP = "[" * 10_000 + "]" * 10_000


class Touches:
    """What a pickle does when it is believed."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@backtrail.step
def search(question: str) -> dict[str, list[int]]:
    return {"found": [1, 2, 3]}


@backtrail.step
def broken() -> None:
    raise ConnectionError("not today")


@backtrail.run
def handle(question: str, ctx: RunContext) -> dict[str, list[int]]:
    ctx.set_state("seen", [question])
    found = search(question)
    broken()
    return found


@pytest.fixture(scope="module")
def recorded() -> list[Span]:
    """The spans of an honest run, as they travelled."""
    with receiving() as receiver:
        backtrail.configure(receiver.url, service_name="hostile")
        with pytest.raises(ConnectionError):
            handle("where?")
        assert backtrail.flush()
        return [span for span in receiver.spans if attribute(span, semconv.KIND) != "pending"]


@pytest.fixture(scope="module")
def server(recorded: list[Span], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("hostile")) as server:
        backtrail.configure(server.url, service_name="replays")
        yield server
        backtrail.flush()


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Must not be there afterwards, and the module that makes it must not have been imported."""
    path = tmp_path / "canary"
    monkeypatch.setenv("BACKTRAIL_TEST_CANARY", str(path))
    yield path
    assert not path.exists()
    assert MODULE not in sys.modules


def attribute(span: Span, key: str) -> str:
    return next((one.value.string_value for one in span.attributes if one.key == key), "")


def forged(spans: list[Span], key: str, text: str) -> tuple[str, bytes]:
    """The id of a run that says `text` where the honest one says something under `key`, and its request."""
    request = ExportTraceServiceRequest()
    copies = request.resource_spans.add().scope_spans.add().spans
    for span in spans:
        copy = copies.add()
        copy.CopyFrom(span)
        values = {one.key: one.value for one in copy.attributes}
        if key in values:
            digests = json.loads(values[semconv.DIGESTS].string_value) if semconv.DIGESTS in values else {}
            if key in digests:
                digests[key] = [len(text.encode()), sha256(text.encode()).hexdigest()]
                values[semconv.DIGESTS].string_value = json.dumps(digests)
            values[key].string_value = text
    old, new = spans[0].trace_id, os.urandom(16)
    body = request.SerializeToString().replace(old, new).replace(old.hex().encode(), new.hex().encode())
    return new.hex(), body


def send(server: RunningServer, run_id: str, body: bytes, count: int) -> None:
    httpx.post(f"{server.url}/v1/traces", content=body, headers=PROTOBUF, timeout=60).raise_for_status()
    for _ in range(1000):
        answer = httpx.get(f"{server.url}/api/v1/traces/{run_id}", timeout=60)
        if answer.is_success and len(answer.json()["spans"]) == count:
            return
        time.sleep(0.02)
    raise AssertionError(f"{run_id} is not readable: {answer.text:.300}")


def answers(server: RunningServer, run_id: str) -> list[int]:
    paths = ("", "/state?at=failure", "/checkpoints")
    return [httpx.get(f"{server.url}/api/v1/runs/{run_id}{path}", timeout=60).status_code for path in paths]


def tagged(tag: str, type_: str, value: object) -> str:
    return json.dumps({"$t": tag, "type": type_, "v": value})


PAYLOADS = {
    "a class of a module that is not loaded": tagged("dataclass", f"{MODULE}:Order", {"path": "x"}),
    "a model that is a function of the system": tagged(
        "model", "os:system", {"command": "touch $BACKTRAIL_TEST_CANARY"}
    ),
    "a class that starts processes": tagged("dataclass", "subprocess:Popen", {"args": ["true"]}),
    "an enum that evaluates": tagged(
        "enum", "builtins:eval", "open(__import__('os').environ['BACKTRAIL_TEST_CANARY'], 'w')"
    ),
    "a pickle": json.dumps(
        {"$t": "pickle", "v": base64.b64encode(pickle.dumps(Touches("$BACKTRAIL_TEST_CANARY"))).decode()}
    ),
    "ten thousand levels": DEEP,
    "no JSON": "{not json",
    "a map that is a list": json.dumps({"$t": "map", "v": [1, 2, 3]}),
    "another shape": json.dumps([[[]]]),
    "nothing": "",
}
WHERE = [
    semconv.STEP_RESULT,
    semconv.STEP_ERROR,
    semconv.RUN_INPUT,
    semconv.RUN_CONTEXT,
    semconv.STATE_DELTAS,
    semconv.CHECKPOINT_VALUES,
]
SHAPES = [
    (semconv.STEP_SCOPE, DEEP),
    (semconv.STEP_SCOPE, '"os.system"'),
    (semconv.DIGESTS, DEEP),
    (semconv.DIGESTS, '{"backtrail.step.result": "x"}'),
    (semconv.AGENT_PATH, DEEP),
    (semconv.RUN_ENTRYPOINT, f"{MODULE}:Order"),
    (semconv.STEP_STATUS, "exec"),
    (semconv.KIND, f"{MODULE}:Order"),
]


async def replay(server: RunningServer, run_id: str) -> BaseException | None:
    """What it ended with."""
    with Client(server.url) as client:
        try:
            await client.replay(run_id, handle)
        except Exception as error:
            return error
    return None


def is_ours(error: BaseException | None) -> bool:
    """An error of Backtrail's, or the program's own: then the record was used as plain values."""
    if isinstance(error, ApiError):
        return error.status != 500
    return isinstance(error, BacktrailError) or str(error) == "not today"


async def test_the_honest_run_replays(server: RunningServer, recorded: list[Span]) -> None:
    run_id, body = forged(recorded, "nowhere", "")
    send(server, run_id, body, len(recorded))

    assert str(await replay(server, run_id)) == "not today"
    for key in (*WHERE, *(key for key, _ in SHAPES)):
        assert any(attribute(span, key) for span in recorded), f"the honest run has no {key} to forge"


@pytest.mark.parametrize("what", PAYLOADS)
async def test_t43_a_replay_takes_what_is_recorded_for_data_only(
    server: RunningServer, recorded: list[Span], canary: Path, what: str
) -> None:
    for key in WHERE:
        run_id, body = forged(recorded, key, PAYLOADS[what].replace("$BACKTRAIL_TEST_CANARY", str(canary)))
        send(server, run_id, body, len(recorded))
        ended = await replay(server, run_id)
        assert is_ours(ended), (key, ended)


@pytest.mark.parametrize(("key", "text"), SHAPES, ids=[f"{key} {text[:20]}" for key, text in SHAPES])
async def test_t43_a_record_of_another_shape_is_an_error_that_says_so(
    server: RunningServer, recorded: list[Span], canary: Path, key: str, text: str
) -> None:
    run_id, body = forged(recorded, key, text)
    send(server, run_id, body, len(recorded))

    assert is_ours(await replay(server, run_id))
    assert 500 not in answers(server, run_id)
