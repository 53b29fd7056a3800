"""Requests that no exporter should send, to a real server: what is good in them is stored, what is not is told."""

import json
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail import semconv
from tests.factories import ROOT_ID, otlp_request, plain_span, run_span, span_id, step_span
from tests.serving import RunningServer, running_server
from tests.waiting import until

PROTOBUF = {"content-type": "application/x-protobuf"}


def send(server: RunningServer, request: ExportTraceServiceRequest) -> ExportTraceServiceResponse:
    answer = httpx.post(f"{server.url}/v1/traces", content=request.SerializeToString(), headers=PROTOBUF, timeout=60)
    assert answer.status_code == 200, answer.content
    return ExportTraceServiceResponse.FromString(answer.content)


def settled(server: RunningServer) -> Counter[str]:
    """The server's own books, once nothing waits; they must balance."""
    books: Counter[str] = Counter()

    def nothing_waits() -> bool:
        books.clear()
        for line in httpx.get(f"{server.url}/metrics").text.splitlines():
            if line.startswith("backtrail_spans_"):
                name, value = line.rsplit(" ", 1)
                books[name.partition("{")[0].removeprefix("backtrail_spans_")] += int(float(value))
        return books["waiting"] == 0

    until(nothing_waits)
    parts = ("stored_total", "duplicates_total", "rejected_total", "quarantined")
    assert books["received_total"] == sum(books[part] for part in parts)
    return books


def trace(server: RunningServer, trace_id: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{server.url}/api/v1/traces/{trace_id.hex()}").json()["spans"]
    return found


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (plain_span("bad", id_=b"short"), "span_id of 5 bytes"),
        (plain_span("bad", id_=bytes(8)), "span_id of 8 bytes (0000000000000000)"),
        (plain_span("bad", trace_id=bytes(16)), "trace_id of 16 bytes"),
        (plain_span("bad", trace_id=b""), "trace_id missing"),
        (plain_span("", id_=span_id(999)), "has no name"),
    ],
    ids=["length", "zero span id", "zero trace id", "no trace id", "no name"],
)
def test_t17_one_bad_span_among_500_is_named_and_the_others_are_stored(
    server: RunningServer, bad: Span, reason: str
) -> None:
    trace_id = sha256(reason.encode()).digest()[:16]
    spans = [plain_span(f"span {n}", trace_id=trace_id, id_=span_id(n)) for n in range(1, 500)]

    partial = send(server, otlp_request(*spans[:250], bad, *spans[250:])).partial_success

    assert partial.rejected_spans == 1
    assert reason in partial.error_message
    settled(server)
    assert {span["name"] for span in trace(server, trace_id)} == {span.name for span in spans}


def test_t20_a_payload_of_20_mb_is_cut_and_its_step_says_that_it_cannot_be_replayed(server: RunningServer) -> None:
    trace_id = b"twenty megabytes"
    payload = json.dumps("ü" * 10_000_000, ensure_ascii=False)
    data = payload.encode()
    step: dict[str, Any] = {
        semconv.STEP_KEY: "1" * 32,
        semconv.STEP_SEQ_START: 1,
        semconv.STEP_SEQ_END: 2,
        semconv.STEP_REPLAYABLE: True,
        semconv.STEP_RESULT: payload,
    }
    small = {**step, semconv.STEP_KEY: "2" * 32, semconv.STEP_SEQ_START: 3, semconv.STEP_RESULT: '"small"'}

    send(
        server,
        otlp_request(
            run_span(trace_id=trace_id, attributes={semconv.RUN_INPUT: "{}", semconv.RUN_SEQ_MAX: 4}),
            step_span("large", number=1, trace_id=trace_id, attributes=step),
            step_span("small", number=2, trace_id=trace_id, attributes=small),
        ),
    )

    settled(server)
    large = next(span for span in trace(server, trace_id) if span["name"] == "large")["attributes"]
    assert large[semconv.STEP_RESULT] == data[: 4 << 20].decode(errors="ignore")
    assert json.loads(large[semconv.DIGESTS]) == {semconv.STEP_RESULT: [len(data), sha256(data).hexdigest()]}
    assert large[semconv.FLAGGED].startswith(f"backtrail.step.result cut at {4 << 20} of {len(data)} bytes")
    run = f"{server.url}/api/v1/runs/{trace_id.hex()}"
    bundle = httpx.post(f"{run}/replay-bundle", json={"mode": "resume", "at": "end"}, timeout=60).json()
    policies = {one["name"]: (one["replay_policy"], one["policy_reason"]) for one in bundle["steps"]}
    assert policies == {"large": ("refuse", "too_large"), "small": ("cached", "completed")}
    assert bundle["completeness"]["truncated"] == ["1" * 32]


def test_t22_the_same_export_is_stored_once_however_often_and_whenever_it_comes(tmp_path: Path) -> None:
    """Three times, with others in between, cut up differently, and again after a kill."""
    trace_ids = [bytes([n]) * 16 for n in (1, 2, 3)]
    requests = [
        otlp_request(
            run_span(trace_id=id_),
            *[
                step_span(f"step {n}", number=n, trace_id=id_, attributes={semconv.STEP_RESULT: f'"{n}"'})
                for n in range(1, 6)
            ],
        )
        for id_ in trace_ids
    ]
    expected = {"support-bot", *(f"step {n}" for n in range(1, 6))}

    def check(server: RunningServer) -> None:
        settled(server)
        for id_ in trace_ids:
            spans = trace(server, id_)
            assert sorted(span["name"] for span in spans) == sorted(expected)
            results = {
                span["attributes"].get(semconv.STEP_RESULT) for span in spans if span["span_id"] != ROOT_ID.hex()
            }
            assert results == {f'"{n}"' for n in range(1, 6)}
        runs = httpx.get(f"{server.url}/api/v1/runs").json()["runs"]
        assert sorted((run["run_id"], run["span_count"]) for run in runs) == [(id_.hex(), 6) for id_ in trace_ids]

    with running_server(tmp_path) as server:
        for _ in range(3):
            for request in requests:
                send(server, request)
        check(server)
        for request in requests:
            for span in request.resource_spans[0].scope_spans[0].spans:
                send(server, otlp_request(span))
        check(server)
        server.kill()
    with running_server(tmp_path) as server:
        for request in requests:
            send(server, request)
        check(server)
