"""What is too much for one span is left out, counted and flagged; the span is kept, and so is everything beside it."""

import json
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail import semconv
from backtrail_ingest.errors import RequestTooLarge, UndecodableRequest
from backtrail_ingest.requests import flatten
from backtrail_ingest.requests.flatten import rewrite
from backtrail_ingest.requests.inspected import InspectedRequest
from backtrail_ingest.requests.inspection import inspect
from backtrail_ingest.requests.limits import Limits
from backtrail_ingest.requests.wire_fields import delimited
from tests.factories import (
    ROOT_ID,
    TRACE_ID,
    Attributes,
    Value,
    key_values,
    otlp_request,
    plain_span,
    span_id,
    step_span,
)

CLEAR_REFS = Path("/proc/self/clear_refs")
SMALL = Limits(attributes=16, events=4, links=3, name_length=64, value_bytes=1024)


def admitted(body: bytes, limits: Limits = SMALL) -> InspectedRequest:
    return inspect(body, limits) or rewrite(body, limits)


def after(span: Span, limits: Limits = SMALL) -> Span:
    """The span as the inbox gets it; its nested values must be flat for this reader."""
    request = ExportTraceServiceRequest.FromString(admitted(otlp_request(span).SerializeToString(), limits).body)
    [kept] = request.resource_spans[0].scope_spans[0].spans
    return kept


def attributes_of(span: Span) -> dict[str, Value]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value") for one in span.attributes}


def numbered(count: int) -> Attributes:
    return {f"key {n}": n for n in range(count)}


def test_t19_attributes_beyond_the_limit_are_left_out_and_counted() -> None:
    span = plain_span(attributes=numbered(20))
    span.dropped_attributes_count = 5

    kept = after(span)

    assert attributes_of(kept) == {**numbered(16), semconv.FLAGGED: "4 attributes left out"}
    assert kept.dropped_attributes_count == 9


def test_t19_events_and_links_beyond_the_limit_are_left_out_and_counted() -> None:
    events = [Span.Event(name=f"event {n}", attributes=key_values(numbered(18 if n == 1 else 1))) for n in range(7)]
    links = [Span.Link(trace_id=TRACE_ID, span_id=ROOT_ID, trace_state=f"n={n}") for n in range(5)]

    kept = after(plain_span(events=events, links=links))

    assert [event.name for event in kept.events] == ["event 0", "event 1", "event 2", "event 3"]
    assert [(len(event.attributes), event.dropped_attributes_count) for event in kept.events][:2] == [(1, 0), (16, 2)]
    assert [link.trace_state for link in kept.links] == ["n=0", "n=1", "n=2"]
    assert (kept.dropped_events_count, kept.dropped_links_count) == (3, 2)
    assert attributes_of(kept) == {semconv.FLAGGED: "3 events left out; 2 links left out; 2 event attributes left out"}


@pytest.mark.parametrize("length", [64, 65, 1_000_000])
def test_t19_a_long_name_is_cut(length: int) -> None:
    name = "ü" * length

    kept = after(plain_span(name, attributes={name: 1}, events=[Span.Event(name=name)]))

    assert (kept.name, kept.events[0].name, kept.attributes[0].key) == ("ü" * 64,) * 3
    flagged = f"a name cut at 64 of {length} characters"
    assert attributes_of(kept).get(semconv.FLAGGED) == (flagged if length > 64 else None)


def test_t19_what_is_left_out_of_a_resource_is_said_on_each_of_its_spans() -> None:
    request = otlp_request(plain_span("a"), plain_span("b", id_=span_id(2)), resource=numbered(2000))

    limits = Limits(attributes=1990)
    resource_spans = ExportTraceServiceRequest.FromString(
        admitted(request.SerializeToString(), limits).body
    ).resource_spans[0]

    assert (len(resource_spans.resource.attributes), resource_spans.resource.dropped_attributes_count) == (1990, 10)
    flags = [attributes_of(span)[semconv.FLAGGED] for span in resource_spans.scope_spans[0].spans]
    assert flags == ["10 resource attributes left out"] * 2


@pytest.mark.parametrize(
    ("value", "kept", "full"),
    [
        ("ü" * 600, "ü" * 512, "ü" * 600),
        ("€" * 400, "€" * 341, "€" * 400),  # three bytes each: never half a character
        (b"\xff" * 2000, b"\xff" * 1024, b"\xff" * 2000),
        ([1] * 600, "[" + "1," * 511 + "1", "[" + "1," * 599 + "1]"),
        (["word"] * 300, '["word",' + '"word",' * 145 + '"', '["word"' + ',"word"' * 299 + "]"),
    ],
    ids=["text", "odd", "bytes", "list", "texts"],
)
def test_t20_a_long_value_is_cut_and_its_length_and_hash_are_kept_beside_it(
    value: Value, kept: Value, full: str | bytes
) -> None:
    found = attributes_of(after(plain_span(attributes={"long": value, "short": 1})))

    data = full if isinstance(full, bytes) else full.encode()
    digests = found.pop(semconv.DIGESTS)
    assert found == {"long": kept, "short": 1, semconv.FLAGGED: f"long cut at 1024 of {len(data)} bytes"}
    assert json.loads(str(digests)) == {"long": [len(data), sha256(data).hexdigest()]}


def test_t20_a_step_whose_answer_was_cut_says_that_it_cannot_be_replayed() -> None:
    known = json.dumps({semconv.STEP_RESULT: [7, "as the SDK reckoned"], "other": [1, "x"]})
    span = step_span(
        attributes={semconv.STEP_RESULT: "x" * 2000, semconv.STEP_REPLAYABLE: True, semconv.DIGESTS: known}
    )

    found = attributes_of(after(span))

    assert (found[semconv.STEP_REPLAYABLE], found[semconv.STEP_UNREPLAYABLE_REASON]) == (False, "too_large")
    assert json.loads(str(found[semconv.DIGESTS])) == json.loads(known)


@pytest.mark.parametrize("mine", [5, ["x"], b"x", {"a": 1}, None], ids=repr)
def test_what_a_sender_has_in_the_place_of_our_own_notes_never_stands_beside_them(mine: Value) -> None:
    """Two values of two types under one key would be read as one that cannot be read."""
    ours = (semconv.FLAGGED, semconv.DIGESTS)
    span = after(plain_span(attributes={"long": "x" * 2000} | dict.fromkeys(ours, mine)))

    keys = [one.key for one in span.attributes]
    assert sorted(keys) == sorted(["long", *ours])
    assert all(type(attributes_of(span)[key]) is str for key in ours)


def test_within_the_limits_nothing_is_touched() -> None:
    events = [Span.Event(name="e", attributes=key_values(numbered(16)))] * 4
    links = [Span.Link(trace_id=TRACE_ID, span_id=ROOT_ID, attributes=key_values(numbered(16)))] * 3
    body = otlp_request(
        plain_span("n" * 64, attributes=numbered(16), events=events, links=links), resource={"r": "x"}
    ).SerializeToString()

    assert len(body) > SMALL.harmless_bytes
    assert inspect(body, replace(SMALL, value_bytes=len(body))) == InspectedRequest(body=body, item_count=1)


@pytest.mark.parametrize("count", [2_000, 40_000])
def test_a_large_request_is_looked_at_in_pieces_and_passes_as_it_came(count: int) -> None:
    spans = [plain_span(id_=span_id(n + 1), attributes={"padding": "x" * 1500}) for n in range(count // 10)]
    request = otlp_request(*spans[: len(spans) // 2])
    request.resource_spans.extend(otlp_request(*spans[len(spans) // 2 :]).resource_spans)
    body = request.SerializeToString()

    found = inspect(body)

    assert found is not None
    assert (found.body is body, found.item_count) == (True, len(spans))


def test_one_nested_value_in_a_large_request_is_found() -> None:
    spans = [plain_span(id_=span_id(n + 1), attributes={"padding": "x" * 1500}) for n in range(3_000)]
    spans[-1].attributes.extend(key_values({"nested": {"a": 1}}))
    body = otlp_request(*spans).SerializeToString()

    assert inspect(body) is None
    assert (rewrite(body).item_count, b'{"a":1}' in rewrite(body).body) == (3_000, True)


def in_a_span(*fields: bytes) -> bytes:
    return in_scope_spans(delimited(2, plain_span().SerializeToString() + b"".join(fields)))


def in_scope_spans(content: bytes) -> bytes:
    return delimited(1, delimited(2, content))


MILLION = 1_000_000
MANY = 1_100_000  # of two bytes each: more than is looked at in one piece
TINY = {
    "resources": lambda: b"\x0a\x00" * MANY,
    "scopes": lambda: delimited(1, b"\x12\x00" * MANY),
    "spans": lambda: in_scope_spans(b"\x12\x00" * MANY),
    "events": lambda: in_a_span(b"\x5a\x00" * MANY),
    "elements": lambda: in_a_span(delimited(9, delimited(2, delimited(5, b"\x0a\x00" * MANY)))),
}


@pytest.mark.parametrize(
    ("many", "dropped"),
    [
        (b"\x5a\x00" * MILLION, (0, MILLION - 10_000, 0)),
        (b"\x6a\x00" * MILLION, (0, 0, MILLION - 10_000)),
        (b"".join(delimited(9, KeyValue(key=str(n)).SerializeToString()) for n in range(10_000)), (5_904, 0, 0)),
    ],
    ids=["events", "links", "attributes"],
)
def test_t19_a_million_of_anything_is_counted_and_not_kept(many: bytes, dropped: tuple[int, int, int]) -> None:
    found = admitted(in_a_span(many), Limits())

    [span] = ExportTraceServiceRequest.FromString(found.body).resource_spans[0].scope_spans[0].spans
    assert (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count) == dropped


@pytest.mark.skipif(not CLEAR_REFS.exists(), reason="only Linux tells a process's peak")
@pytest.mark.parametrize("what", TINY)
def test_a_body_of_tiny_messages_unfolds_into_no_more_than_a_few_times_its_size(what: str) -> None:
    """In upb's memory these two megabytes take 80."""
    body = TINY[what]()
    CLEAR_REFS.write_text("5")
    before = memory("VmRSS")

    assert inspect(body) is None
    with suppress(UndecodableRequest, RequestTooLarge):
        rewrite(body)

    assert memory("VmHWM") - before < 40 << 20


def memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def test_a_body_of_more_fields_than_anybody_needs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatten, "MOST_FIELDS", 100_000)

    with pytest.raises(RequestTooLarge, match="more than 100000 fields"):
        rewrite(in_a_span(b"\x5a\x00" * 100_000))


def test_spans_that_are_fine_by_themselves_are_paid_for_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatten, "MOST_FIELDS", 100_000)
    span = plain_span().SerializeToString()

    with pytest.raises(RequestTooLarge, match="more than 100000 fields"):
        rewrite(in_scope_spans(delimited(2, span) * 8_000))
