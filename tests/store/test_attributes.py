"""Attributes and payloads come back as they were sent: in value, in type, and byte for byte where they are text."""

import json

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail_store import Store
from tests.conftest import Insert, empty
from tests.factories import (
    START,
    TRACE_ID,
    Value,
    batch_of,
    key_values,
    otlp_request,
    plain_span,
    run_span,
    span_id,
    step_span,
)

TRACE = TRACE_ID.hex()


def attributes_after(insert: Insert, store: Store, attributes: dict[str, Value]) -> dict[str, object]:
    insert(plain_span(attributes=attributes))
    [span] = store.reader.get_trace("default", TRACE)
    return dict(span.attributes)


def test_every_kind_of_value_comes_back_equal_in_value_and_type(insert: Insert, store: Store) -> None:
    attributes: dict[str, Value] = {
        "text": "Grüße, 世界 🦜",
        "empty text": "",
        "yes": True,
        "no": False,
        "zero": 0,
        "negative": -7,
        "largest": 2**63 - 1,
        "smallest": -(2**63),
        "whole double": 1.0,
        "double": 0.1,
        "tiny": 5e-324,
        "words": ["a", "", 'quo"te', "back\\slash", "tab\tnew\nline"],
        "no words": [],
        "bytes": b"\x00\xff",
        "nothing": None,
        "numbers": [1, 2, 3],
        "doubles": [1.0, 2.5],
        "booleans": [True, False],
        "mixed": ["a", 1, 2.0, True, None],
        "map": {"nested": {"list": [1, {"deep": True}]}, "number": 2**60},
        "control": "nul \x00 bell \x07",
    }

    found = attributes_after(insert, store, attributes)

    assert found == attributes
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in attributes.items()}


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",", ": "), (", ", ":")])
def test_a_chat_history_comes_back_byte_for_byte_however_it_was_written(
    insert: Insert, store: Store, separators: tuple[str, str]
) -> None:
    history = [
        {"role": "user", "parts": [{"type": "text", "content": 'He said: {"role": "user"}, {"role"'}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "ja\n\u2028 é \\ 🦜"}]},
        {"role": "tool", "parts": [{"role": "nested", "list": [{"role": 1}, {"role": 2}]}]},
    ]
    text = json.dumps(history, separators=separators)

    found = attributes_after(insert, store, {"gen_ai.input.messages": text})

    assert found == {"gen_ai.input.messages": text}


@pytest.mark.parametrize(
    "text", ["", "[]", "[{}]", '[{"role":', '{"role":"user"}', '[{"parts":[],"role":"user"}]', " [ ]"]
)
def test_a_history_of_no_known_shape_comes_back_byte_for_byte(insert: Insert, store: Store, text: str) -> None:
    assert attributes_after(insert, store, {"gen_ai.input.messages": text}) == {"gen_ai.input.messages": text}


def test_each_message_of_a_growing_history_is_stored_once(insert: Insert, store: Store) -> None:
    messages = [{"role": "user", "parts": [{"type": "text", "content": f"message {n}"}]} for n in range(10)]
    for turn in range(1, 11):
        insert(
            step_span(number=turn, attributes={"gen_ai.input.messages": json.dumps(messages[:turn])}),
        )

    with store._readers.borrow() as client:
        stored = client.query("SELECT uniqExact(hash), sum(length(content)) FROM contents FINAL").result_rows
    assert stored == [(10, sum(len(json.dumps(message)) for message in messages))]


@pytest.mark.parametrize(
    "long", ["word " * 1000, b"\xff" * 2000, ["word"] * 1000, [1] * 1000], ids=["text", "bytes", "texts", "list"]
)
def test_a_long_attribute_of_any_name_leaves_the_light_columns(insert: Insert, store: Store, long: Value) -> None:
    assert attributes_after(insert, store, {"somebody.else": long})["somebody.else"] == long
    [light] = store.reader.get_trace("default", TRACE, payloads=False)
    assert "somebody.else" not in light.attributes


def test_events_links_and_the_resource_keep_their_typed_attributes(store: Store) -> None:
    attributes: dict[str, Value] = {"attempt": 2, "fatal": False}
    event = Span.Event(name="exception", time_unix_nano=START + 5, attributes=key_values(attributes))
    link = Span.Link(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, trace_state="a=1", attributes=key_values({"w": 0.5}))
    span = plain_span(events=[event], links=[link])

    store.insert(batch_of(otlp_request(span, resource={"service.name": "desk", "cpu.count": 2, "tags": ["a"]})))

    [row] = store.reader.get_trace("default", TRACE)
    assert [(e.name, e.time_unix_nano, e.attributes) for e in row.events] == [("exception", START + 5, attributes)]
    assert [(x.trace_id, x.span_id, x.trace_state, x.attributes) for x in row.links] == [
        ("01" * 16, "02" * 8, "a=1", {"w": 0.5})
    ]
    assert row.resource == {"service.name": "desk", "cpu.count": 2, "tags": ["a"]}


def test_the_json_of_a_trace_says_what_its_rows_say(insert: Insert, store: Store) -> None:
    attributes: dict[str, Value] = {
        'a "quoted" key\n': 'text "quoted" \\ \n é 🦜 \u2028',
        "whole": 1.0,
        "tiny": 5e-324,
        "huge": 1e300,
        "largest": 2**63 - 1,
        "no": False,
        "nothing": None,
        "words": ["a", 'b"'],
        "map": {"x": [1, {"y": None}]},
        "long map": {"text": "word " * 500},
        "gen_ai.input.messages": json.dumps([{"role": "user", "content": 'q"\n'}, {"role": "tool"}]),
        "gen_ai.tool.call.arguments": {"city": "Ulm"},
        "gen_ai.tool.call.result": "",
    }
    event = Span.Event(name='e"', time_unix_nano=START, attributes=key_values({"n": 1.0}))
    link = Span.Link(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, attributes=key_values({"b": True}))
    insert(run_span(), step_span(attributes=attributes), plain_span("x", id_=span_id(8), events=[event], links=[link]))

    rows = store.reader.get_trace("default", TRACE)
    found = [json.loads(text) for text in store.reader.get_trace_json("default", TRACE).spans]

    assert [span["attributes"] for span in found] == [row.attributes for row in rows]
    assert [span["span_id"] for span in found] == [row.span_id for row in rows]
    assert type(next(span for span in found if "whole" in span["attributes"])["attributes"]["whole"]) is float
    [with_event] = [span for span in found if span["events"]]
    assert with_event["events"][0]["attributes"] == {"n": 1.0}
    assert with_event["links"][0]["attributes"] == {"b": True}


def test_json_has_words_for_the_numbers_it_cannot_write(insert: Insert, store: Store) -> None:
    insert(plain_span(attributes={"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "raw": b"\x00\xff"}))

    [text] = store.reader.get_trace_json("default", TRACE).spans

    expected = {
        "nan": {"$double": "NaN"},
        "inf": {"$double": "Infinity"},
        "-inf": {"$double": "-Infinity"},
        "raw": {"$bytes": "AP8="},
    }
    assert json.loads(text)["attributes"] == expected


def test_a_span_whose_payloads_have_aged_out_is_read_without_them(insert: Insert, store: Store) -> None:
    insert(step_span(attributes={"gen_ai.tool.call.result": "found", "n": 1}))
    empty(store, "contents")

    [row] = store.reader.get_trace("default", TRACE)
    [text] = store.reader.get_trace_json("default", TRACE).spans

    assert "gen_ai.tool.call.result" not in row.attributes
    assert json.loads(text)["attributes"] == row.attributes


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (1.0, 1.0),
        (float("nan"), {"$double": "NaN"}),
        (True, True),
        (None, None),
        ([], []),
        (["one"], ["one"]),
        (b"\x00\xff", {"$bytes": "AP8="}),
        ([{"role": "user"}], [{"role": "user"}]),
        ("text", "text"),
    ],
    ids=repr,
)
def test_a_payload_of_any_type_keeps_it_in_the_json_of_a_trace(
    insert: Insert, store: Store, value: Value, expected: object
) -> None:
    insert(plain_span(attributes={"gen_ai.input.messages": value}))

    [text] = store.reader.get_trace_json("default", TRACE).spans
    [found] = json.loads(text)["attributes"].values()
    assert (found, type(found)) == (expected, type(expected))
