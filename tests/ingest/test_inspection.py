"""What passes untouched, what is rewritten, what is refused."""

import math

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail_ingest.errors import UndecodableRequest
from backtrail_ingest.requests.wire_fields import varint
from tests.factories import ROOT_ID, TRACE_ID, Value, inspected, key_values, otlp_request, plain_span, span_id

JSON_TEXT_TAG = b"\x32"  # AnyValue.kvlist_value = 6


def body_with(value: Value) -> bytes:
    return otlp_request(plain_span(attributes={"key": value})).SerializeToString()


@pytest.mark.parametrize(
    "value",
    ["", "text", True, False, 0, -1, 2**63 - 1, 0.0, 1.5, math.nan, None, [], ["a"], ["", "b"], b"", b"\x00\xff"],
    ids=repr,
)
def test_a_flat_value_passes_as_the_bytes_that_came_in(value: Value) -> None:
    body = body_with(value)

    assert inspected(body).body is body


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, -2, 2**63 - 1], "[1,-2,9223372036854775807]"),
        ([1.0, 0.5], "[1.0,0.5]"),
        ([True, False], "[true,false]"),
        ([None], "[null]"),
        (["a", None], '["a",null]'),
        (["a", 1, [b"\x00", "é"]], '["a",1,[{"$bytes":"AA=="},"é"]]'),
        ([[]], "[[]]"),
        ([math.nan, math.inf, -math.inf], '[{"$double":"NaN"},{"$double":"Infinity"},{"$double":"-Infinity"}]'),
        ({}, "{}"),
        ({"a": {"b": [1, {"c": None}]}, "d": True}, '{"a":{"b":[1,{"c":null}]},"d":true}'),
    ],
    ids=repr,
)
def test_a_nested_value_becomes_json_text_in_the_maps_place(value: Value, text: str) -> None:
    rewritten = inspected(body_with(value)).body

    assert JSON_TEXT_TAG + varint(len(text.encode())) + text.encode() in rewritten


def test_nested_values_are_found_wherever_attributes_may_stand() -> None:
    nested = {"where": {"deep": 1}}
    expected = JSON_TEXT_TAG + varint(10) + b'{"deep":1}'
    request = otlp_request(plain_span(), resource=nested)
    scope_spans = request.resource_spans[0].scope_spans[0]
    attributes = request.resource_spans[0].resource.attributes
    scope_spans.scope.attributes.extend(attributes)
    scope_spans.spans[0].attributes.extend(attributes)
    scope_spans.spans[0].events.add(name="event").attributes.extend(attributes)
    scope_spans.spans[0].links.add(trace_id=TRACE_ID, span_id=ROOT_ID).attributes.extend(attributes)

    assert inspected(request.SerializeToString()).body.count(expected) == 5


def test_everything_beside_a_nested_value_stays_as_it_was() -> None:
    span = plain_span(attributes={"flat": "x", "nested": {"a": 100}}, parent_id=span_id(9))
    span.trace_state, span.flags, span.dropped_attributes_count = "vendor=1", 257, 3
    request = otlp_request(span)
    request.resource_spans[0].schema_url = "https://opentelemetry.io/schemas/1.40.0"
    request.resource_spans[0].resource.entity_refs.add(type="service", id_keys=["service.name"])

    body = request.SerializeToString()

    as_wire, as_json = b"\x0a\x07\x0a\x01a\x12\x02\x18d", b'{"a":100}'  # equally long
    assert inspected(body).body == body.replace(as_wire, as_json)


def test_a_faulty_span_is_left_out_and_named_and_the_rest_is_kept() -> None:
    good = plain_span("good", id_=span_id(1))
    request = otlp_request(
        plain_span("short trace", trace_id=TRACE_ID[:15]),
        plain_span("zero trace", trace_id=bytes(16)),
        good,
        plain_span("no id", id_=b""),
        plain_span("long parent", parent_id=b"123456789"),
        plain_span("", id_=span_id(7)),
        plain_span("zero id", id_=bytes(8)),
    )

    found = inspected(request.SerializeToString())

    assert found.body == otlp_request(good).SerializeToString()
    assert found.item_count == 1
    assert found.faults.named == [
        "span 'short trace': trace_id of 15 bytes (5b8efff798038103d269b633813fc6), wanted 16 bytes, not all zero",
        "span 'zero trace': trace_id of 16 bytes (00000000000000000000000000000000), wanted 16 bytes, not all zero",
        "span 'no id': span_id missing, wanted 8 bytes, not all zero",
        "span 'long parent': parent_span_id of 9 bytes (313233343536373839), wanted 8 bytes",
        "the span with span_id 0000000000000007 has no name",
    ]
    assert found.faults.counts == {"trace_id": 2, "span_id": 2, "parent_span_id": 1, "name": 1}


def test_a_parent_id_of_zeros_means_no_parent() -> None:
    found = inspected(otlp_request(plain_span(parent_id=bytes(8))).SerializeToString())

    assert found.body == otlp_request(plain_span()).SerializeToString()
    assert not found.faults.counts


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xff\xff",
        b"not protobuf at all",
        otlp_request(plain_span("cut")).SerializeToString()[:-5],
        b"\x78\x78",  # a field that no request has
    ],
    ids=["garbage", "text", "cut", "other message"],
)
def test_what_is_no_trace_request_is_refused(body: bytes) -> None:
    with pytest.raises(UndecodableRequest, match="not an ExportTraceServiceRequest"):
        inspected(body)


def test_an_empty_request_is_a_request() -> None:
    assert inspected(b"").item_count == 0


def nested_arrays(depth: int) -> bytes:
    """Written by hand: the library would not nest this deep."""
    value = b"\x0a\x01x"
    for _ in range(depth):
        element = b"\x0a" + varint(len(value)) + value
        value = b"\x2a" + varint(len(element)) + element
    message = b"\x0a\x03key\x12" + varint(len(value)) + value
    span = plain_span().SerializeToString()
    for prefix, head in ((b"\x4a", span), (b"\x12", b""), (b"\x12", b""), (b"\x0a", b"")):
        message = head + prefix + varint(len(message)) + message
    return message


def test_sixteen_levels_are_read() -> None:
    text = b"[" * 16 + b'"x"' + b"]" * 16

    assert text in inspected(nested_arrays(16)).body


@pytest.mark.parametrize("depth", [33, 60, 1_000, 10_000])
def test_t19_of_a_bottomless_value_32_levels_are_kept(depth: int) -> None:
    found = inspected(nested_arrays(depth))

    assert b"[" * 32 + b"null" + b"]" * 32 in found.body
    assert b"values below level 32 left out" in found.body


def test_a_field_sent_twice_is_written_once() -> None:
    """Two halves of one span are one span to protobuf, and have to be to every later reader."""
    first, second = plain_span("first").SerializeToString(), b"\x2a\x06second"
    span = first + second
    scope_spans = b"\x12" + varint(len(span)) + span
    resource_spans = b"\x12" + varint(len(scope_spans)) + scope_spans
    body = b"\x0a" + varint(len(resource_spans)) + resource_spans

    spans = ExportTraceServiceRequest.FromString(inspected(body).body).resource_spans[0].scope_spans[0].spans

    assert spans == [plain_span("second")]


@pytest.mark.parametrize("values", [("first", 2), (2, "last"), ([1], ["a"]), (None, True)], ids=repr)
def test_of_a_key_that_stands_twice_the_last_value_counts(values: tuple[Value, Value]) -> None:
    twice = [*key_values({"key": values[0]}), *key_values({"other": "x"}), *key_values({"key": values[1]})]
    span, event = plain_span(), Span.Event(name="event", attributes=twice)
    span.attributes.extend(twice)
    span.events.append(event)
    request = otlp_request(span)
    request.resource_spans[0].resource.attributes.extend(twice)

    once = {"key": values[1], "other": "x"}
    expected = otlp_request(
        plain_span(attributes=once, events=[Span.Event(name="event", attributes=key_values(once))]),
        resource={"service.name": "support-bot", **once},
    )
    assert inspected(request.SerializeToString()).body == expected.SerializeToString()
