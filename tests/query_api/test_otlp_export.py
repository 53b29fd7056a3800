"""A run as OTLP: importing what was exported and exporting it again gives the same bytes."""

import json
import math

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from backtrail import semconv
from backtrail_ingest.receivers.otlp_json import to_protobuf
from backtrail_query.routes.otlp import export_logs, export_spans
from backtrail_store import Store
from tests.conftest import Insert
from tests.factories import (
    SECOND,
    START,
    TRACE_ID,
    Value,
    batch_of,
    key_values,
    log_record,
    logs_batch_of,
    logs_request,
    otlp_request,
    plain_span,
    run_span,
    span_id,
    step_span,
)

RUN_ID = TRACE_ID.hex()
PROTOBUF = {"accept": "application/x-protobuf"}
HISTORY = json.dumps([{"role": "user", "content": "hi"}, {"role": "assistant", "content": 'a "quote", {"role"'}])
VALUES: dict[str, Value] = {
    "int": 2**53 + 1,
    "negative": -(2**63),
    "double": 1.0,
    "nan": math.nan,
    "infinity": -math.inf,
    "bool": False,
    "bytes": b"\x00\xff",
    "empty": None,
    "no text": "",
    "texts": ["a", "b"],
    "nothing in it": [],
    "mixed": [1, 1.5, True, None, b"\x01", ["deep", {"er": [math.inf]}]],
    "map": {"$bytes": "mine", "n": 2**60, "": {"a.b": []}},
    "gen_ai.input.messages": HISTORY,
    "long": "text " * 1000,
}


def rich_request() -> ExportTraceServiceRequest:
    """Everything OTLP has for a span that is kept."""
    event = Span.Event(
        time_unix_nano=START + 5, name="e", attributes=key_values({"b": 1, "a": [2.5]}), dropped_attributes_count=2
    )
    link = Span.Link(
        trace_id=bytes([7] * 16),
        span_id=bytes([8] * 8),
        trace_state="k=v",
        attributes=key_values({"why": {"x": 1}}),
        dropped_attributes_count=3,
        flags=257,
    )
    span = plain_span("rich", attributes=VALUES, events=[event], links=[link], message="it broke")
    span.status.code = Status.STATUS_CODE_ERROR
    span.kind = Span.SPAN_KIND_CLIENT
    span.trace_state, span.flags = "vendor=1", 257
    span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count = 1, 2, 3
    request = otlp_request(span, step_span(number=2), resource={"service.name": "b", "n": 7, "l": ["x"]})
    resource_spans = request.resource_spans[0]
    resource_spans.schema_url, resource_spans.resource.dropped_attributes_count = "https://r", 4
    scope_spans = resource_spans.scope_spans[0]
    scope_spans.schema_url, scope_spans.scope.dropped_attributes_count = "https://s", 5
    scope_spans.scope.attributes.extend(key_values({"z": 1, "y": b"s"}))
    request.MergeFrom(otlp_request(step_span("of another scope", number=3), scope="other"))
    return request


def odd_request() -> ExportTraceServiceRequest:
    """Times that are flagged, and a span that is only pending."""
    pending: dict[str, Value] = {
        "backtrail.kind": "pending",
        "backtrail.pending.of": span_id(77).hex(),
        "backtrail.pending.parent": "0" * 16,
        "backtrail.pending.kind": "run",
    }
    return otlp_request(
        plain_span("far", id_=span_id(1), start=2**63 + 5, duration=7),
        plain_span("none", id_=span_id(2), start=0, duration=0),
        plain_span("backwards", id_=span_id(3), duration=-5 * SECOND),
        plain_span("pending", id_=span_id(4), duration=0, attributes=pending),
    )


def exported(store: Store, project: str) -> tuple[bytes, bytes]:
    return tuple(  # type: ignore[return-value]
        b"".join(export_spans(store.reader, project, RUN_ID, is_protobuf=is_protobuf)) for is_protobuf in (False, True)
    )


@pytest.mark.parametrize("request_", [rich_request(), odd_request()], ids=["rich", "odd"])
@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_an_exported_run_that_is_imported_elsewhere_is_exported_as_the_same_bytes(
    store: Store, request_: ExportTraceServiceRequest, form: str
) -> None:
    store.insert(batch_of(request_, project="here"))
    as_json, as_protobuf = exported(store, "here")

    body = to_protobuf(ExportTraceServiceRequest, as_json) if form == "json" else as_protobuf
    store.insert(batch_of(ExportTraceServiceRequest.FromString(body), project="there", received=START + 10**16))

    assert exported(store, "there") == (as_json, as_protobuf)
    same = ExportTraceServiceRequest.FromString(to_protobuf(ExportTraceServiceRequest, as_json))
    assert same.SerializeToString(deterministic=True) == as_protobuf


def test_an_export_is_what_was_sent_in_value_and_in_type(store: Store) -> None:
    sent = rich_request()
    store.insert(batch_of(sent))

    got = ExportTraceServiceRequest.FromString(exported(store, "default")[1])

    groups = {group.resource.attributes[-1].value.string_value: group for group in got.resource_spans}
    wanted, found = sent.resource_spans[0], groups["b"]
    assert (found.schema_url, found.resource.dropped_attributes_count) == ("https://r", 4)
    assert in_order(found.resource.attributes) == in_order(wanted.resource.attributes)
    assert in_order(found.scope_spans[0].scope.attributes) == in_order(wanted.scope_spans[0].scope.attributes)
    span, original = found.scope_spans[0].spans[0], wanted.scope_spans[0].spans[0]
    assert in_order(span.attributes) == in_order(original.attributes)
    assert in_order(span.events[0].attributes) == in_order(original.events[0].attributes)
    for message in (span, original, span.events[0], original.events[0]):
        message.ClearField("attributes")
    assert span == original


def in_order(attributes: object) -> list[str]:
    return sorted(str(attribute) for attribute in attributes)  # type: ignore[attr-defined]


def test_ids_are_hex_and_numbers_are_as_otlps_json_has_them(insert: Insert, api: TestClient) -> None:
    insert(run_span(attributes={"n": 7, "x": math.nan}))

    answer = api.get(f"/api/v1/runs/{RUN_ID}/otlp")

    [resource_spans] = answer.json()["resourceSpans"]
    [span] = resource_spans["scopeSpans"][0]["spans"]
    assert (span["traceId"], span["kind"], span["startTimeUnixNano"]) == (RUN_ID, 1, str(START))
    assert {"key": "n", "value": {"intValue": "7"}} in span["attributes"]
    assert {"key": "x", "value": {"doubleValue": "NaN"}} in span["attributes"]
    assert answer.headers["content-type"] == "application/json"


def test_log_records_are_exported_beside_the_spans(store: Store, api: TestClient) -> None:
    body: Value = {"role": "user", "content": ["hi", 2**60]}
    store.insert(
        logs_batch_of(
            logs_request(
                log_record(body, event_name="gen_ai.user.message", attributes={"n": [1, None]}),
                log_record("plain", time=START + 1),
                log_record("plain", time=START + 1),
            )
        )
    )
    as_json = api.get(f"/api/v1/runs/{RUN_ID}/otlp", params={"signal": "logs"}, headers={"accept": "*/*"}).content
    assert api.get(f"/api/v1/runs/{RUN_ID}/otlp", params={"signal": "logs"}).status_code == 200

    imported = to_protobuf(ExportLogsServiceRequest, as_json)
    store.insert(logs_batch_of(ExportLogsServiceRequest.FromString(imported), project="there"))

    again = b"".join(export_logs(store.log_reader, store.reader, "there", RUN_ID, is_protobuf=False))
    assert again == as_json
    assert as_json.count(b"logRecords") == 1
    assert len(json.loads(as_json)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]) == 3


@pytest.mark.parametrize(("time", "observed"), [(START, 2**64 - 1), (2**63, 2**63 + 1), (2**63, START)])
def test_a_records_times_are_exported_as_they_came_even_where_no_column_can_hold_them(
    store: Store, api: TestClient, time: int, observed: int
) -> None:
    store.insert(logs_batch_of(logs_request(log_record("odd", time=time, observed=observed))))

    answer = api.get(f"/api/v1/runs/{RUN_ID}/otlp", params={"signal": "logs"}, headers=PROTOBUF)

    [record] = ExportLogsServiceRequest.FromString(answer.content).resource_logs[0].scope_logs[0].log_records
    assert (record.time_unix_nano, record.observed_time_unix_nano) == (time, observed)
    assert "backtrail.flagged" not in {one.key for one in record.attributes}


def test_a_run_without_log_records_has_an_empty_request_of_them(insert: Insert, api: TestClient) -> None:
    insert(run_span())

    params = {"signal": "logs"}
    assert api.get(f"/api/v1/runs/{RUN_ID}/otlp", params=params).json() == {"resourceLogs": []}
    assert api.get(f"/api/v1/runs/{RUN_ID}/otlp", params=params, headers=PROTOBUF).content == b""


def test_a_text_that_is_no_longer_kept_is_said_to_be_missing(insert: Insert, store: Store, api: TestClient) -> None:
    insert(run_span(attributes={"gen_ai.input.messages": HISTORY}))
    with store._writers.borrow() as client:
        client.command("TRUNCATE TABLE contents")

    [resource_spans] = api.get(f"/api/v1/runs/{RUN_ID}/otlp").json()["resourceSpans"]

    said = {one["key"]: one["value"] for one in resource_spans["scopeSpans"][0]["spans"][0]["attributes"]}
    assert "gen_ai.input.messages" not in said
    assert said["backtrail.missing_payloads"] == {"arrayValue": {"values": [{"stringValue": "gen_ai.input.messages"}]}}


def test_a_long_run_comes_in_pieces_that_make_one_request(insert: Insert, api: TestClient) -> None:
    insert(*(plain_span(id_=span_id(number)) for number in range(1, 1202)))

    as_json = api.get(f"/api/v1/runs/{RUN_ID}/otlp").json()
    as_protobuf = ExportTraceServiceRequest.FromString(api.get(f"/api/v1/runs/{RUN_ID}/otlp", headers=PROTOBUF).content)

    assert [len(one["scopeSpans"][0]["spans"]) for one in as_json["resourceSpans"]] == [500, 500, 201]
    assert [len(one.scope_spans[0].spans) for one in as_protobuf.resource_spans] == [500, 500, 201]


@pytest.mark.parametrize(
    "note", ["time out of range: " + "9" * 21, "end before start: " + "9" * 20, "time out of range: 1 to " + "9" * 5000]
)
def test_a_note_of_the_senders_own_does_no_harm(insert: Insert, api: TestClient, note: str) -> None:
    insert(plain_span(attributes={semconv.FLAGGED: note}))

    answers = [api.get(f"/api/v1/runs/{RUN_ID}/otlp", headers=headers) for headers in ({}, PROTOBUF)]

    assert [answer.status_code for answer in answers] == [200, 200]
    [resource_spans] = ExportTraceServiceRequest.FromString(answers[1].content).resource_spans
    assert resource_spans.scope_spans[0].spans[0].name == "work"


def test_an_unknown_run_is_not_found(api: TestClient) -> None:
    for signal in ("traces", "logs"):
        answer = api.get(f"/api/v1/runs/{'7' * 32}/otlp", params={"signal": signal})
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
