"""T21: a span of any time is stored and shown, and says what was wrong with it; those beside it are untouched."""

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail import semconv
from backtrail_query.models import RunView, TraceView
from tests.conftest import Insert
from tests.factories import SECOND, START, TRACE_ID, plain_span, span_id

TRACE = TRACE_ID.hex()
HOUR = 3600 * SECOND
LATEST = 5_617_000_000 * SECOND  # in 2147, the last year all of whose weeks have a partition
YEAR_2300 = 10_413_792_000 * SECOND
YEAR_1700 = 2**64 - 8_520_336_000 * SECOND  # as the wire writes a negative number
MOST = 2**64 - 1


@pytest.mark.parametrize(
    ("start", "end", "shown", "flagged"),
    [
        (0, 0, (0, 0), "no start time"),
        (0, START, (0, START), "no start time"),
        (START, 0, (START, START), "end before start: 0"),
        (START, START - 1, (START, START), f"end before start: {START - 1}"),
        (MOST, MOST, (LATEST, LATEST), f"time out of range: {MOST} to {MOST}"),
        (START, MOST, (START, LATEST), f"time out of range: {START} to {MOST}"),
        (YEAR_2300, YEAR_2300 + 1, (LATEST, LATEST), f"time out of range: {YEAR_2300} to {YEAR_2300 + 1}"),
        (YEAR_1700, START, (LATEST, LATEST), f"time out of range: {YEAR_1700} to {START}"),
        (START - 24 * HOUR, START - 24 * HOUR + 1, None, "received 23 hours after its end"),
        (START + 24 * HOUR, START + 24 * HOUR + 1, None, "received 24 hours before its end"),
        (START - 11 * HOUR, START + 11 * HOUR, None, None),
        (1, 1, None, f"received {START // HOUR} hours after its end"),
    ],
)
def test_t21_a_span_of_any_time_is_stored_within_bounds_and_flagged(
    api: TestClient, insert: Insert, start: int, end: int, shown: tuple[int, int] | None, flagged: str | None
) -> None:
    odd = plain_span("odd", id_=span_id(2))
    odd.start_time_unix_nano, odd.end_time_unix_nano = start, end
    odd.events.extend([Span.Event(name=str(time), time_unix_nano=time) for time in (0, MOST, YEAR_2300)])

    insert(plain_span("good"), odd)

    trace = TraceView.model_validate_json(api.get(f"/api/v1/traces/{TRACE}").content)
    spans = {span.name: span for span in trace.spans}
    found = spans["odd"]
    assert (found.start_time_unix_nano, found.end_time_unix_nano) == (shown or (start, end))
    assert found.duration_ns == found.end_time_unix_nano - found.start_time_unix_nano >= 0
    assert found.attributes.get(semconv.FLAGGED) == flagged
    assert [event.time_unix_nano for event in found.events] == [0, MOST, YEAR_2300]
    assert (spans["good"].duration_ns, spans["good"].attributes) == (SECOND, {})
    run = RunView.model_validate_json(api.get(f"/api/v1/runs/{TRACE}").content)
    assert run.duration_ns >= 0
    assert {node.name for node in [run.tree, *run.tree.children]} == {"good", "odd"}


def test_t21_what_the_sender_mended_and_what_we_did_are_said_together(api: TestClient, insert: Insert) -> None:
    span = plain_span(attributes={semconv.FLAGGED: "invalid text"}, duration=0)
    span.end_time_unix_nano = 0

    insert(span)

    [found] = api.get(f"/api/v1/traces/{TRACE}").json()["spans"]
    assert found["attributes"] == {semconv.FLAGGED: "invalid text; end before start: 0"}
