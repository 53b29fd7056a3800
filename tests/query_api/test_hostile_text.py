"""T24: whatever bytes stand where OTLP has text, the spans are stored, readable and found."""

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from backtrail import semconv
from backtrail_ingest.envelope import Envelope
from backtrail_query.models import TraceView
from backtrail_store import Batch, Store
from tests.factories import (
    ROOT_ID,
    START,
    TRACE_ID,
    Attributes,
    inspected,
    key_values,
    otlp_request,
    plain_span,
    span_id,
)

TRACE = TRACE_ID.hex()
PLACE = b"\x01place of the text\x01"

VALID = {
    "NUL": b"a\x00b",
    "bidirectional": "a\u202eb\u2066c".encode(),
    "emoji": "👩‍👩‍👧 🦜".encode(),
    "last code point": "\U0010ffff\ufffe".encode(),
    "quotes": b"\"'`\\ \n\t\r{}[]$",
}
INVALID = {
    "surrogate": b"a\xed\xa0\x80b",
    "pair of surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
    "cut character": b"a\xf0\x9f\x91",
    "overlong": b"\xc0\xafa",
    "Latin-1": b"Gr\xfc\xdfe",
    "no text at all": bytes(range(128, 256)),
}


def insert_with(store: Store, text: bytes) -> None:
    """One request with the text, as long as its place, in each of its strings, and an innocent span beside."""
    name = PLACE.decode()
    nested: Attributes = {name: name, "list": [name], "deep": {name: [{name: name}]}}
    span = plain_span(
        name,
        attributes={**nested, semconv.USER_ID: name, "gen_ai.operation.name": "chat"},
        status=Status.STATUS_CODE_ERROR,
        message=name,
        events=[Span.Event(name=name, time_unix_nano=START, attributes=key_values(nested))],
        links=[Span.Link(trace_id=TRACE_ID, span_id=ROOT_ID, trace_state=name, attributes=key_values(nested))],
    )
    span.trace_state = name
    innocent = plain_span("innocent", id_=span_id(2**64 - 1), parent_id=ROOT_ID)
    request = otlp_request(span, innocent, resource={"service.name": name, **nested})
    request.resource_spans[0].schema_url = name
    scope_spans = request.resource_spans[0].scope_spans[0]
    scope_spans.schema_url = name
    scope_spans.scope.CopyFrom(InstrumentationScope(name=name, version=name, attributes=key_values(nested)))
    body = request.SerializeToString().replace(PLACE, text)
    envelope = Envelope.around(inspected(body), project="default", received_unix_nano=START)
    store.insert(Batch([envelope.head + envelope.request], envelope.digest.hex()))


@pytest.mark.parametrize("name", [*VALID, *INVALID])
def test_t24_text_of_any_bytes_in_every_string_is_stored_readable_and_found(
    api: TestClient, store: Store, name: str
) -> None:
    text = {**VALID, **INVALID}[name].ljust(len(PLACE), b"~")[: len(PLACE)]
    insert_with(store, text)

    answer = api.get(f"/api/v1/traces/{TRACE}")
    hostile, innocent = TraceView.model_validate_json(answer.content).spans
    expected = text.decode(errors="replace")
    nested = {expected: expected, "list": [expected], "deep": {expected: [{expected: expected}]}}
    attributes = dict(hostile.attributes)
    flagged = attributes.pop(semconv.FLAGGED, "")
    assert attributes == {**nested, semconv.USER_ID: expected, "gen_ai.operation.name": "chat"}
    assert hostile.resource == {"service.name": expected, **nested}
    assert (hostile.scope.name, hostile.scope.version, hostile.scope.attributes) == (expected, expected, nested)
    assert (hostile.scope.schema_url, hostile.resource_schema_url) == (expected, expected)
    assert (hostile.name, hostile.status.message, hostile.trace_state) == (expected,) * 3
    assert [(event.name, event.attributes) for event in hostile.events] == [(expected, nested)]
    assert [(link.trace_state, link.attributes) for link in hostile.links] == [(expected, nested)]
    assert (innocent.name, flagged) == ("innocent", "invalid text" if name in INVALID else "")

    for column in ("name", "service", "user_id"):
        [run] = api.get("/api/v1/runs", params={column: expected}).json()["runs"]
        assert run["run_id"] == TRACE
