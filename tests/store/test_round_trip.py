"""T18: OTLP of every shape comes back from the real views as it was sent, and mutated bodies harm nobody."""

import itertools
import json
import math
import random
from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from backtrail_ingest.envelope import Envelope
from backtrail_ingest.errors import Refusal
from backtrail_ingest.inbox.inbox_rows import Entry
from backtrail_ingest.requests.wire_fields import delimited
from backtrail_ingest.signals import TRACES
from backtrail_ingest.writer import batch_of, mended
from backtrail_store import BatchRefused, Store
from backtrail_store.rows import AttributeValue, SpanRow
from backtrail_store.values import read_json
from tests.factories import (
    START,
    TRACE_ID,
    inspected,
    key_values,
    otlp_request,
    plain_span,
    run_span,
    span_id,
    step_span,
)

TEXT = st.text(max_size=6)
INT64 = st.integers(-(2**63), 2**63 - 1)
SCALARS = st.one_of(
    st.builds(AnyValue),
    st.builds(AnyValue, string_value=TEXT),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, int_value=INT64),
    st.builds(AnyValue, double_value=st.floats() | st.sampled_from([1.0, -0.0, 1e300, 5e-324])),
    st.builds(AnyValue, bytes_value=st.binary(max_size=6)),
)
KEYS = TEXT | st.sampled_from(["$bytes", "$double", "$$bytes", "a.b", "__proto__", "gen_ai.input.messages"])


def nested(inner: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[AnyValue]:
    pairs = st.lists(st.builds(KeyValue, key=KEYS, value=inner), max_size=3)
    return st.one_of(
        st.builds(AnyValue, array_value=st.builds(ArrayValue, values=st.lists(inner, max_size=3))),
        st.builds(AnyValue, kvlist_value=st.builds(KeyValueList, values=pairs)),
    )


VALUES: st.SearchStrategy[AnyValue] = st.recursive(SCALARS, nested, max_leaves=6)
ATTRIBUTES = st.lists(st.builds(KeyValue, key=KEYS, value=VALUES), max_size=4)
COUNTS = st.sampled_from([0, 1, 2**32 - 1])
TIMES = st.sampled_from([0, 1, START, START + 1, 2**63, 2**64 - 1])
EVENTS = st.builds(Span.Event, time_unix_nano=TIMES, name=TEXT, attributes=ATTRIBUTES, dropped_attributes_count=COUNTS)
LINKS = st.builds(
    Span.Link,
    trace_id=st.binary(min_size=16, max_size=16),
    span_id=st.binary(min_size=8, max_size=8),
    trace_state=TEXT,
    attributes=ATTRIBUTES,
    dropped_attributes_count=COUNTS,
    flags=COUNTS,
)
SPANS = st.builds(
    Span,
    trace_id=st.just(TRACE_ID),
    parent_span_id=st.sampled_from([b"", span_id(1), span_id(2)]),
    trace_state=TEXT,
    name=st.text(min_size=1, max_size=6),
    kind=st.integers(0, 5),
    start_time_unix_nano=TIMES,
    end_time_unix_nano=TIMES,
    attributes=ATTRIBUTES,
    dropped_attributes_count=COUNTS,
    events=st.lists(EVENTS, max_size=2),
    dropped_events_count=COUNTS,
    links=st.lists(LINKS, max_size=2),
    dropped_links_count=COUNTS,
    status=st.builds(Status, code=st.integers(0, 2), message=TEXT),
    flags=COUNTS,
)
SCOPES = st.builds(
    InstrumentationScope, name=TEXT, version=TEXT, attributes=ATTRIBUTES, dropped_attributes_count=COUNTS
)
REQUESTS = st.builds(
    ExportTraceServiceRequest,
    resource_spans=st.lists(
        st.builds(
            ResourceSpans,
            resource=st.builds(Resource, attributes=ATTRIBUTES, dropped_attributes_count=COUNTS),
            scope_spans=st.lists(
                st.builds(ScopeSpans, scope=SCOPES, spans=st.lists(SPANS, max_size=3), schema_url=TEXT), max_size=2
            ),
            schema_url=TEXT,
        ),
        min_size=1,
        max_size=2,
    ),
)


def with_ids(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """Each span its own: what becomes of two with one id is another question."""
    for number, span in enumerate(spans_of(request), start=1):
        span.span_id = span_id(number)
    return request


def spans_of(request: ExportTraceServiceRequest) -> Iterable[Span]:
    return (span for one in request.resource_spans for scope_spans in one.scope_spans for span in scope_spans.spans)


def value_of(value: AnyValue) -> AttributeValue:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [value_of(element) for element in value.array_value.values]
        case "kvlist_value":
            return values_of(value.kvlist_value.values)
        case which:
            scalar: AttributeValue = getattr(value, which)
            return scalar


def values_of(attributes: Iterable[KeyValue]) -> dict[str, AttributeValue]:
    return {one.key: value_of(one.value) for one in attributes}


def exact(value: object) -> object:
    """For comparing: types count, one NaN is like another, -0.0 is not 0.0; the order of keys does not matter."""
    match value:
        case list():
            return [exact(element) for element in value]
        case dict():
            return {key: exact(member) for key, member in value.items()}
        case float():
            return float, "nan" if math.isnan(value) else value.hex()
        case _:
            return type(value), value


def sent(request: ExportTraceServiceRequest) -> dict[str, object]:
    """What has to come back of each span, by id."""
    return {
        span.span_id.hex(): sent_span(span, scope_spans, resource_spans)
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    }


def sent_span(span: Span, scope_spans: ScopeSpans, resource_spans: ResourceSpans) -> object:
    scope, resource = scope_spans.scope, resource_spans.resource
    return exact(
        {
            "texts": [span.name, span.trace_state, span.status.message, span.parent_span_id.hex()],
            "codes": [span.kind, span.status.code, span.flags],
            "attributes": values_of(span.attributes),
            "dropped": [span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count],
            "events": [
                [one.time_unix_nano, one.name, values_of(one.attributes), one.dropped_attributes_count]
                for one in span.events
            ],
            "links": [
                [
                    *(one.trace_id.hex(), one.span_id.hex(), one.trace_state, values_of(one.attributes)),
                    *(one.dropped_attributes_count, one.flags),
                ]
                for one in span.links
            ],
            "scope": [scope.name, scope.version, values_of(scope.attributes), scope_spans.schema_url],
            "resource": [values_of(resource.attributes), resource_spans.schema_url],
            "heads dropped": [resource.dropped_attributes_count, scope.dropped_attributes_count],
        }
    )


KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"]
CODES = ["unset", "ok", "error"]


def stored_span(row: SpanRow) -> object:
    attributes = {key: value for key, value in row.attributes.items() if key != "backtrail.flagged"}
    return exact(
        {
            "texts": [row.name, row.trace_state, row.status_message, row.parent_span_id],
            "codes": [KINDS.index(row.kind), CODES.index(row.status_code), row.flags],
            "attributes": attributes,
            "dropped": [row.dropped_attributes_count, row.dropped_events_count, row.dropped_links_count],
            "events": [
                [one.time_unix_nano, one.name, one.attributes, one.dropped_attributes_count] for one in row.events
            ],
            "links": [
                [one.trace_id, one.span_id, one.trace_state, one.attributes, one.dropped_attributes_count, one.flags]
                for one in row.links
            ],
            "scope": [row.scope_name, row.scope_version, row.scope_attributes, row.scope_schema_url],
            "resource": [row.resource, row.resource_schema_url],
            "heads dropped": [row.resource_dropped_attributes_count, row.scope_dropped_attributes_count],
        }
    )


def store_away(store: Store, body: bytes, project: str) -> None:
    """As the writer does."""
    envelope = Envelope.around(inspected(body), project=project, received_unix_nano=START)
    try:
        store.insert(batch_of(TRACES, [Entry(1, envelope)]))
    except BatchRefused:
        if (better := mended(envelope)) is None:
            raise
        store.insert(batch_of(TRACES, [Entry(1, better)]))


projects = (f"project {n}" for n in itertools.count())


UNHURRIED = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each example is an insert: making it smaller takes minutes
)


@UNHURRIED
@given(REQUESTS.map(with_ids))
def test_t18_otlp_of_every_shape_comes_back_in_value_and_type(store: Store, request: ExportTraceServiceRequest) -> None:
    check_round_trip(store, request)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@settings(UNHURRIED, max_examples=1000)
@given(REQUESTS.map(with_ids))
def test_t18_a_thousand_requests_of_every_shape_come_back(store: Store, request: ExportTraceServiceRequest) -> None:
    check_round_trip(store, request)


def check_round_trip(store: Store, request: ExportTraceServiceRequest) -> None:
    project = next(projects)

    store_away(store, request.SerializeToString(), project)

    rows = store.reader.get_trace(project, TRACE_ID.hex())
    assert {row.span_id: stored_span(row) for row in rows} == sent(request)
    spans = [json.loads(text) for text in store.reader.get_trace_json(project, TRACE_ID.hex()).spans]
    for row, span in zip(rows, spans, strict=True):
        assert decoded(span["attributes"]) == exact(row.attributes)
        assert decoded(span["resource"]) == exact(row.resource)
        assert decoded(span["scope"]["attributes"]) == exact(row.scope_attributes)


def decoded(members: dict[str, object]) -> object:
    """Attributes are an object of values, and no value themselves: their own keys stand as they are."""
    return exact({key: read_json(json.dumps(member)) for key, member in members.items()})


def real_bodies() -> list[bytes]:
    event = Span.Event(name="exception", time_unix_nano=START, attributes=key_values({"message": "no", "n": 1}))
    link = Span.Link(trace_id=TRACE_ID, span_id=span_id(3), attributes=key_values({"w": 0.5}))
    messages = json.dumps([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}])
    flat = otlp_request(
        run_span(),
        step_span(attributes={"gen_ai.input.messages": messages, "tags": ["a", "b"], "ok": True, "raw": b"\x00\xff"}),
        plain_span("x", id_=span_id(8), events=[event], links=[link]),
    )
    nested = otlp_request(plain_span(attributes={"deep": {"a": [1, {"b": 2.5}]}, "empty": None}), resource={"r": [1]})
    return [flat.SerializeToString(), nested.SerializeToString()]


def mutated(body: bytes, rnd: random.Random) -> bytes:
    data = bytearray(body)
    for _ in range(rnd.randint(1, 2)):
        at = rnd.randrange(len(data))
        match rnd.choice((0, 0, 0, 1, 1, 1, 2, 3, 4)):
            case 0:
                data[at] = rnd.randrange(256)
            case 1:
                data[at] ^= 1 << rnd.randrange(8)
            case 2:
                del data[at : at + rnd.randint(1, 8)]
            case 3:
                data[at:at] = rnd.randbytes(rnd.randint(1, 8))
            case _:
                data[at:at] = data[at : at + rnd.randint(1, 40)]
    return bytes(data) or b"\x00"


def test_t18_a_truth_value_that_is_no_bit_is_mended_when_the_store_refuses_it(store: Store) -> None:
    body = otlp_request(plain_span(attributes={"ok": True})).SerializeToString()
    odd = body.replace(b"ok\x12\x02\x10\x01", b"ok\x12\x02\x10\x05")
    assert odd != body

    store_away(store, odd, "odd")

    [row] = store.reader.get_trace("odd", TRACE_ID.hex())
    assert row.attributes["ok"] is True


def test_t18_a_mutated_body_is_refused_or_taken_and_nothing_else() -> None:
    rnd = random.Random(18)
    taken = 0
    for body in real_bodies() * 4000:
        with suppress(Refusal):
            taken += inspected(mutated(body, rnd)).item_count > 0

    assert 1000 < taken < 8000


@pytest.mark.parametrize("seed", range(2))
def test_t18_what_the_door_takes_of_mutated_bodies_the_store_takes_too(store: Store, seed: int) -> None:
    rnd = random.Random(seed)
    accepted = 0
    while accepted < 25:
        for body in real_bodies():
            try:
                store_away(store, mutated(body, rnd), "default")
            except Refusal:
                continue
            accepted += 1

    spans = store.reader.get_trace_json("default", TRACE_ID.hex()).spans
    assert len([json.loads(text) for text in spans]) == len(store.reader.get_trace("default", TRACE_ID.hex()))


def test_a_field_of_the_wrong_type_costs_nobody_but_itself(store: Store) -> None:
    """Readers of protobuf pass it over, so the door cannot tell; ClickHouse refuses all of the request."""
    odd = plain_span("odd").SerializeToString() + b"\x38\x05"  # start_time_unix_nano as a varint
    good = [plain_span(f"good {n}", id_=span_id(n)).SerializeToString() for n in range(1, 4)]
    scope_spans = b"".join(delimited(2, span) for span in [*good, odd])

    store_away(store, delimited(1, delimited(2, scope_spans)), "default")

    rows = store.reader.get_trace("default", TRACE_ID.hex())
    flags = {row.name: row.attributes.get("backtrail.flagged") for row in rows}
    assert flags == {"odd": "fields of a wrong type left out", "good 1": None, "good 2": None, "good 3": None}


def test_a_value_of_two_kinds_costs_nobody_but_itself(store: Store) -> None:
    """The second is of the wrong wire type: no field at all for protobuf's own readers, one too many for ClickHouse."""
    two = delimited(9, delimited(1, b"k") + delimited(2, delimited(1, b"text") + b"\x12\x00"))
    odd = plain_span("odd", id_=span_id(9)).SerializeToString() + two
    scope_spans = delimited(2, plain_span("good").SerializeToString()) + delimited(2, odd)

    store_away(store, delimited(1, delimited(2, scope_spans)), "default")

    values = {row.name: row.attributes.get("k") for row in store.reader.get_trace("default", TRACE_ID.hex())}
    assert values == {"odd": "text", "good": None}
