"""OTLP/JSON as others write it becomes the same request in protobuf, or an error that names the place."""

import json
import math
from base64 import b64encode
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail_ingest.errors import Refusal, RequestTooLarge, UndecodableRequest
from backtrail_ingest.receivers import otlp_json
from backtrail_ingest.receivers.otlp_json import to_protobuf
from tests.factories import Value, any_value, otlp_request, plain_span

Json = dict[str, Any]
KEYS = [
    *("resourceSpans", "resource", "attributes", "scopeSpans", "scope", "spans", "name", "kind", "status", "code"),
    *("traceId", "spanId", "parentSpanId", "startTimeUnixNano", "events", "links", "droppedAttributesCount", "flags"),
    *("key", "value", "values", "stringValue", "boolValue", "intValue", "doubleValue", "arrayValue", "kvlistValue"),
    *("bytesValue", "entityRefs", "idKeys"),
]


def body_of(span: Json) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def read(body: bytes) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(to_protobuf(ExportTraceServiceRequest, body))


def span_of(**span: Any) -> Span:
    return read(body_of(span)).resource_spans[0].scope_spans[0].spans[0]


def value_of(value: Any) -> AnyValue:
    return span_of(attributes=[{"key": "a", "value": value}]).attributes[0].value


def json_of(value: Value) -> Json:
    """As the specification writes an AnyValue."""
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value if math.isfinite(value) else str(value).replace("inf", "Infinity")}
        case str():
            return {"stringValue": value}
        case bytes():
            return {"bytesValue": b64encode(value).decode()}
        case dict():
            return {"kvlistValue": {"values": [{"key": key, "value": json_of(item)} for key, item in value.items()]}}
        case list():
            return {"arrayValue": {"values": [json_of(item) for item in value]}}
    raise AssertionError(value)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_every_kind_of_value_arrives_as_what_it_was(value: Value) -> None:
    assert value_of(json_of(value)) == any_value(value)


def test_a_whole_request_is_the_same_as_in_protobuf() -> None:
    event = Span.Event(time_unix_nano=7, name="retry", dropped_attributes_count=2)
    link = Span.Link(trace_id=bytes(range(16)), span_id=bytes(range(8)), trace_state="a=b", flags=1)
    span = plain_span("work", parent_id=b"parent-1", attributes={"n": 1}, events=[event], links=[link], message="bad")
    as_json = {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex().upper(),
        "parentSpanId": b"parent-1".hex(),
        "name": "work",
        "kind": 1,
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": span.end_time_unix_nano,
        "attributes": [{"key": "n", "value": {"intValue": 1}}],
        "events": [{"timeUnixNano": "7", "name": "retry", "droppedAttributesCount": 2}],
        "links": [
            {"traceId": bytes(range(16)).hex(), "spanId": bytes(range(8)).hex(), "traceState": "a=b", "flags": 1}
        ],
        "status": {"message": "bad"},
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "support-bot"}}]}
    scope_spans = [{"scope": {"name": "test", "version": "1.0"}, "spans": [as_json]}]

    request = read(json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": scope_spans}]}).encode())

    assert request == otlp_request(span)


def test_log_records_are_read_by_the_same_rules() -> None:
    record = {"traceId": "0A" * 16, "spanId": "0b" * 8, "severityNumber": 9, "body": {"kvlistValue": {"values": []}}}
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()

    request = ExportLogsServiceRequest.FromString(to_protobuf(ExportLogsServiceRequest, body))

    read_back = request.resource_logs[0].scope_logs[0].log_records[0]
    assert (read_back.trace_id, read_back.span_id, read_back.severity_number) == (b"\x0a" * 16, b"\x0b" * 8, 9)
    assert read_back.body.WhichOneof("value") == "kvlist_value"


@pytest.mark.parametrize("number", [2**53 + 1, str(2**53 + 1), 2**63 - 1, "-9223372036854775808"])
def test_integers_are_exact_as_numbers_and_as_strings(number: int | str) -> None:
    assert value_of({"intValue": number}).int_value == int(number)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1.5", "2e3"])
def test_doubles_may_be_strings(text: str) -> None:
    read_back = value_of({"doubleValue": text}).double_value

    assert str(read_back) == str(float(text))


@pytest.mark.parametrize("kind", [2, "2", "SPAN_KIND_SERVER"])
def test_an_enum_is_a_number_or_a_known_name(kind: object) -> None:
    assert span_of(kind=kind).kind == Span.SPAN_KIND_SERVER


@pytest.mark.parametrize("text", ["-_8=", "+/8=", "-_8", "+/8"])
def test_bytes_are_base64_of_either_alphabet(text: str) -> None:
    assert value_of({"bytesValue": text}).bytes_value == b"\xfb\xff"


def test_unknown_keys_null_and_snake_case_are_skipped() -> None:
    span = span_of(name="kept", kind=None, surprise={"a": [1, {"b": None}]}, trace_id="ff", attributes=[])

    assert span == Span(name="kept")


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    assert span_of(name="cut \ud83e").name == "cut \ufffd"


@pytest.mark.parametrize("body", [b"{}", b'{"resourceSpans":[]}', b'\xef\xbb\xbf{"resourceSpans":null}'])
def test_a_request_without_spans_is_fine(body: bytes) -> None:
    assert read(body) == ExportTraceServiceRequest()


PLACE = "resourceSpans[0].scopeSpans[0].spans[0]"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "0 bytes are not JSON: Expecting value: line 1 column 1"),
        (b'{"resourceSpans": [}', "20 bytes are not JSON: Expecting value: line 1 column 20"),
        (b'{"a": "\xff"}', "'utf-8' codec can't decode byte 0xff in position 7"),
        (b"[]", "the body: an object belongs here, not []"),
        (b'{"resourceSpans": {}}', "resourceSpans: an array belongs here, not {}"),
        (b'{"resourceSpans": [1]}', "resourceSpans[0]: an object belongs here, not 1"),
        (b'{"resourceLogs": []}', "is not an ExportTraceServiceRequest: it holds no resourceSpans"),
        (b'{"resourceSpans": [], "resourceSpans": []}', "the key 'resourceSpans' stands twice in one object"),
        (b'{"resourceSpans": [{"\\u0000": 1}]}', r"resourceSpans[0]: the key '\x00' holds a NUL"),
        (b"9" * 5000, "Exceeds the limit (4300 digits)"),
        (body_of({"name": 1}), f"{PLACE}.name: text belongs here, not 1"),
        (body_of({"traceId": "W47/95gDgQPSabYzgT/GDA=="}), f"{PLACE}.traceId: an id in hex digits belongs here"),
        (body_of({"spanId": 7}), f"{PLACE}.spanId: an id in hex digits belongs here, not 7"),
        (body_of({"kind": "SPAN_KIND_UNHEARD_OF"}), f"{PLACE}.kind: a SpanKind belongs here"),
        (body_of({"startTimeUnixNano": "soon"}), f"{PLACE}.startTimeUnixNano: an integer belongs here, not 'soon'"),
        (body_of({"startTimeUnixNano": 1.5}), f"{PLACE}.startTimeUnixNano: an integer belongs here, not 1.5"),
        (body_of({"startTimeUnixNano": -1}), f"{PLACE}.startTimeUnixNano: an integer from 0 to 18446744073709551615"),
        (body_of({"attributes": [{"value": {"boolValue": "true"}}]}), "boolValue: true or false belongs here"),
        (body_of({"attributes": [{"value": {"bytesValue": "§"}}]}), "bytesValue: base64 belongs here, not '§'"),
        (body_of({"attributes": [{"value": {"doubleValue": "much"}}]}), "doubleValue: a number belongs here"),
        (
            body_of({"attributes": [{"value": {"stringValue": "", "intValue": 1}}]}),
            f"{PLACE}.attributes[0].value.intValue: there is a value of another kind beside it",
        ),
    ],
)
def test_t16_json_that_is_no_request_is_refused_and_the_place_is_named(body: bytes, words: str) -> None:
    with pytest.raises(UndecodableRequest) as caught:
        read(body)

    assert words in str(caught.value)


@pytest.mark.parametrize("depth", [50, 300, 1000, 100_000])
def test_t16_values_that_are_nested_too_deep_are_refused_in_words(depth: int) -> None:
    deep = b'{"arrayValue":{"values":[' * depth + b"]}}" * depth
    body = b'{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":' + deep + b"}]}}]}"

    with pytest.raises(UndecodableRequest, match="nested too deep"):
        read(body)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_t16_brackets_without_end_are_refused(opening: bytes) -> None:
    with pytest.raises(UndecodableRequest):
        read(opening * 100_000)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=5),
    max_leaves=30,
)


@given(json_values)
def test_t18_any_json_is_a_request_or_is_refused(value: Any) -> None:
    with suppress(Refusal):
        read(json.dumps(value).encode())


@given(st.data())
def test_t18_any_damage_to_a_request_makes_it_another_or_has_it_refused(data: st.DataObject) -> None:
    body = bytearray(body_of({"traceId": "0a" * 16, "kind": 1, "attributes": [{"key": "a", "value": {"intValue": 1}}]}))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))

    with suppress(Refusal):
        read(bytes(body))


def test_values_forty_levels_deep_are_taken() -> None:
    deep: Value = "deepest"
    for _ in range(40):
        deep = [deep]

    assert value_of(json_of(deep)) == any_value(deep)


def test_what_would_take_too_much_memory_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_json, "MAX_VALUES", 1000)

    with pytest.raises(RequestTooLarge, match="more than 1000 values: send smaller batches"):
        read(b'{"resourceSpans": [' + b"{}," * 1000 + b"{}]}")
