"""A span is read with its texts, though ClickHouse commits the two in either order."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from backtrail_store import Store
from backtrail_store.rows import AttributeValue
from tests.conftest import empty
from tests.factories import TRACE_ID, batch_of, otlp_request, run_span

TRACE = TRACE_ID.hex()
Read = Callable[[Store], AttributeValue]


def from_trace(store: Store) -> AttributeValue:
    return store.reader.get_trace("default", TRACE)[0].attributes.get("backtrail.run.input")


def from_outline(store: Store) -> AttributeValue:
    return store.reader.get_outline("default", TRACE)[0].attributes.get("backtrail.run.input")


def from_json(store: Store) -> AttributeValue:
    found: AttributeValue = json.loads(store.reader.get_trace_json("default", TRACE).spans[0])["attributes"].get(
        "backtrail.run.input"
    )
    return found


@contextmanager
def no_contents_view(store: Store) -> Iterator[None]:
    with store._writers.borrow() as client:
        client.command("DETACH TABLE contents_view")
    try:
        yield
    finally:
        with store._writers.borrow() as client:
            client.command("ATTACH TABLE contents_view")


@pytest.mark.parametrize("read", [from_trace, from_outline, from_json])
def test_a_span_that_is_readable_before_its_texts_is_read_with_them(store: Store, read: Read) -> None:
    request = otlp_request(run_span(attributes={"backtrail.run.input": "the question"}))
    with no_contents_view(store):
        store.insert(batch_of(request, received=time.time_ns()))
    late = threading.Timer(0.2, lambda: store.insert(batch_of(request, received=time.time_ns())))

    late.start()
    found = read(store)

    late.join()
    assert found == "the question"


def test_texts_that_are_long_gone_are_not_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.insert(batch_of(otlp_request(run_span(attributes={"backtrail.run.input": "the question"}))))
    empty(store, "contents")
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)

    assert from_trace(store) is None
    assert pauses == []
