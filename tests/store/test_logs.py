"""From raw OTLP log records to rows: whole, once, beside their span, and found again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from backtrail_store import Keeping, LogFilter, LogRow, Store
from backtrail_store.rows import AttributeValue
from tests.factories import (
    ROOT_ID,
    SECOND,
    START,
    TRACE_ID,
    Value,
    batch_of,
    log_record,
    logs_batch_of,
    logs_request,
    otlp_request,
    plain_span,
)

TRACE = TRACE_ID.hex()
HISTORY = '[{"role":"user","parts":[{"type":"text","content":"where is my lamp?"}]}]'
UINT64_MAX = (1 << 64) - 1


def insert_logs(store: Store, *records: LogRecord, project: str = "default") -> None:
    store.insert(logs_batch_of(logs_request(*records), project=project))


def trace_logs(store: Store, project: str = "default") -> list[LogRow]:
    return store.log_reader.get_trace_logs(project, TRACE, limit=1000)


def contents_of(store: Store) -> Iterator[str]:
    with store._readers.borrow() as client:
        yield from (row[0] for row in client.query("SELECT content FROM contents FINAL").result_rows)


def test_a_record_is_stored_whole(store: Store) -> None:
    insert_logs(store, log_record("paid", event_name="app.paid", attributes={"order": 7, "tags": ["a", "b"]}))

    [record] = trace_logs(store)

    assert replace(record, hash=0) == LogRow(
        trace_id=TRACE,
        span_id=ROOT_ID.hex(),
        time_unix_nano=START,
        observed_time_unix_nano=START + 1000,
        received_unix_nano=START,
        hash=0,
        severity_number=9,
        severity_text="INFO",
        event_name="app.paid",
        service_name="support-bot",
        scope_name="test",
        scope_version="1.0",
        scope_schema_url="",
        resource_schema_url="",
        flags=0,
        dropped_attributes_count=0,
        resource_dropped_attributes_count=0,
        scope_dropped_attributes_count=0,
        body="paid",
        attributes={"order": 7, "tags": ["a", "b"]},
        resource={"service.name": "support-bot"},
        scope_attributes={},
    )


@pytest.mark.parametrize("event_name", ["", "gen_ai.user.message"])
def test_bodies_of_any_type_come_back_as_they_were(store: Store, event_name: str) -> None:
    deep: Value = {"content": "hi", "deep": {"n": [1]}}
    bodies: list[Value] = ["text", "", 7, 2**62, 1.5, True, b"\x00\xff", None, ["a", "b"], deep, "long" * 1000]
    insert_logs(store, *[log_record(body, event_name=event_name, time=START + n) for n, body in enumerate(bodies)])

    found = [record.body for record in trace_logs(store)]
    assert found == bodies
    assert [type(body) for body in found] == [type(body) for body in bodies]


def test_the_event_name_may_be_a_field_or_an_attribute(store: Store) -> None:
    insert_logs(store, log_record(attributes={"event.name": "gen_ai.choice"}))

    [record] = trace_logs(store)
    assert (record.event_name, record.attributes["event.name"]) == ("gen_ai.choice", "gen_ai.choice")


def test_a_message_that_a_span_carries_too_is_stored_once(store: Store) -> None:
    store.insert(batch_of(otlp_request(plain_span("chat", attributes={"gen_ai.input.messages": HISTORY}))))
    messages: Value = [{"role": "user", "parts": [{"type": "text", "content": "where is my lamp?"}]}]
    insert_logs(
        store,
        log_record(
            None, event_name="gen_ai.client.inference.operation.details", attributes={"gen_ai.input.messages": messages}
        ),
    )

    [record] = trace_logs(store)
    assert record.attributes["gen_ai.input.messages"] == messages
    assert list(contents_of(store)) == [HISTORY[1:-1]]


def test_t22_the_same_export_is_read_once_and_equal_records_of_one_export_are_two(store: Store) -> None:
    request = logs_request(log_record("retrying"), log_record("retrying"), log_record("gave up"))

    store.insert(logs_batch_of(request))
    store.insert(logs_batch_of(request, logs_request(log_record("later", time=START + 1))))

    assert [record.body for record in trace_logs(store)].count("retrying") == 2
    assert len(trace_logs(store)) == 4
    assert len(store.log_reader.find_logs("default", LogFilter())) == 4


def test_t17_a_record_whose_ids_are_none_is_kept_without_them_and_says_so(store: Store) -> None:
    insert_logs(store, log_record("a", trace_id=b"abc", span_id=b"x"), log_record("b", trace_id=bytes(16)))

    found = {record.body: record for record in store.log_reader.find_logs("default", LogFilter())}
    assert {body: (record.trace_id, record.span_id) for body, record in found.items()} == {
        "a": ("", ""),
        "b": ("", ROOT_ID.hex()),
    }
    flagged = found["a"].attributes["backtrail.flagged"]
    assert flagged == "trace_id of 3 bytes: 616263; span_id of 1 bytes: 78"
    assert "backtrail.flagged" not in found["b"].attributes


@pytest.mark.parametrize(
    ("time", "observed", "stored", "flagged"),
    [
        (0, START, START, None),
        (0, 0, 0, "no time"),
        (UINT64_MAX, START, 5617000000000000000, f"time out of range: {UINT64_MAX}"),
        (START, UINT64_MAX, START, f"observed time out of range: {UINT64_MAX}"),
    ],
)
def test_t21_a_record_of_any_time_is_stored(
    store: Store, time: int, observed: int, stored: int, flagged: str | None
) -> None:
    insert_logs(store, log_record("odd", time=time, observed=observed), log_record("fine"))

    odd = next(record for record in trace_logs(store) if record.body == "odd")
    assert (odd.time_unix_nano, odd.attributes.get("backtrail.flagged")) == (stored, flagged)


def test_a_severity_that_is_none_is_told_and_not_stored(store: Store) -> None:
    insert_logs(store, log_record(severity=99))

    [record] = trace_logs(store)
    assert record.severity_number == 0
    assert record.attributes["backtrail.flagged"] == "severity_number out of range: 99"


def test_t30_no_project_reads_the_records_of_another(store: Store) -> None:
    insert_logs(store, log_record("mine"), project="a")
    insert_logs(store, log_record("yours", event_name="gen_ai.choice"), project="b")

    assert [record.body for record in trace_logs(store, "a")] == ["mine"]
    assert [record.body for record in store.log_reader.find_logs("b", LogFilter())] == ["yours"]
    assert store.log_reader.find_logs("a", LogFilter(text="yours")) == []
    assert store.log_reader.find_logs("c", LogFilter()) == []


def test_records_are_found_newest_first_by_what_is_asked(store: Store) -> None:
    answer: Value = [{"role": "assistant", "content": "It has arrived."}]
    insert_logs(
        store,
        log_record("order 7: one Lamp", attributes={"n": "plain"}),
        log_record(
            {"content": "where is my lamp?"},
            event_name="gen_ai.user.message",
            time=START + SECOND,
            attributes={"n": "user"},
        ),
        log_record(
            None,
            event_name="gen_ai.client.inference.operation.details",
            time=START + 2 * SECOND,
            severity=13,
            attributes={"n": "choice", "gen_ai.output.messages": answer},
        ),
        log_record("bye", time=START + 3 * SECOND, trace_id=b"", span_id=b"", attributes={"n": "later"}),
    )

    def found(**where: Any) -> list[AttributeValue]:
        return [record.attributes["n"] for record in store.log_reader.find_logs("default", LogFilter(**where))]

    assert found() == ["later", "choice", "user", "plain"]
    assert found(trace_id=TRACE) == ["choice", "user", "plain"]
    assert found(span_id=ROOT_ID.hex(), severity=13) == ["choice"]
    assert found(service="support-bot", event_name="gen_ai.user.message") == ["user"]
    assert found(service="other") == []
    assert found(text="LAMP order") == ["plain"]
    assert found(text="lamp") == ["user", "plain"]
    assert found(text="arrived") == ["choice"]
    assert found(text="it's \\ ' \t\n") == []
    assert found(start=datetime.fromtimestamp(START // SECOND + 1, UTC)) == ["later", "choice", "user"]
    assert found(end=datetime.fromtimestamp(START // SECOND + 2, UTC)) == ["user", "plain"]


def test_words_are_found_in_a_message_that_came_before_and_after_the_time_that_is_asked_for(store: Store) -> None:
    hello: Value = {"content": "hello"}
    insert_logs(
        store,
        *[log_record(hello, event_name="gen_ai.user.message", time=START + n * SECOND) for n in range(3)],
    )
    start, end = (datetime.fromtimestamp(START // SECOND + n, UTC) for n in (1, 2))

    [found] = store.log_reader.find_logs("default", LogFilter(text="hello", start=start, end=end))

    assert found.time_unix_nano == START + SECOND


def test_a_text_that_records_of_one_export_share_is_read_with_each_in_its_own_hour(store: Store) -> None:
    text = "the same long line " * 100
    insert_logs(store, *[log_record(text, time=START + hour * 3600 * SECOND) for hour in range(3)])
    start, end = (datetime.fromtimestamp(START // SECOND + 3600 * hour, UTC) for hour in (1, 2))

    [record] = store.log_reader.find_logs("default", LogFilter(start=start, end=end))

    assert record.body == text


def test_pages_follow_each_other_without_gap_even_among_records_of_one_moment(store: Store) -> None:
    insert_logs(store, *[log_record(f"record {n}") for n in range(7)])
    seen: list[LogRow] = []
    before = None
    while page := store.log_reader.find_logs("default", LogFilter(limit=3, before=before)):
        seen += page
        before = (page[-1].time_unix_nano, page[-1].hash)

    assert sorted(str(record.body) for record in seen) == [f"record {n}" for n in range(7)]


def test_records_go_with_their_projects_spans_and_their_texts_may_go_before(store: Store) -> None:
    record = log_record({"content": "hi"}, event_name="gen_ai.user.message")
    insert_logs(store, record, project="short")
    insert_logs(store, record, project="default")
    keeping = {"short": Keeping(30)}

    store.drop_expired(
        lambda project: keeping.get(project, Keeping(contents_days=30)),
        datetime.fromtimestamp(START // SECOND, UTC) + timedelta(days=60),
    )

    assert trace_logs(store, "short") == []
    assert [(kept.event_name, kept.body) for kept in trace_logs(store)] == [("gen_ai.user.message", None)]
    assert list(contents_of(store)) == []


def test_t19_t20_what_is_too_much_for_a_record_is_cut_counted_and_said(store: Store) -> None:
    many = {f"key {number}": number for number in range(5000)}
    insert_logs(store, log_record("x" * (5 << 20), attributes=many, trace_id=b"abc"), log_record("fine"))

    found = store.log_reader.find_logs("default", LogFilter())
    large = next(record for record in found if record.body != "fine")
    assert large.body == "x" * (4 << 20)
    assert large.dropped_attributes_count == 5000 - 4096
    assert large.attributes["key 0"] == 0
    flagged = str(large.attributes["backtrail.flagged"]).split("; ")
    assert sorted(flagged) == [
        "904 attributes left out",
        f"body cut at {4 << 20} of {5 << 20} bytes",
        "trace_id of 3 bytes: 616263",
    ]


def test_t24_text_that_is_none_is_mended_and_found(store: Store) -> None:
    body = logs_request(log_record("caf\x00é broken: ZZ", severity_text="ZZ")).SerializeToString()
    store.insert(logs_batch_of(body.replace(b"ZZ", b"\xff\xfe")))

    [record] = store.log_reader.find_logs("default", LogFilter(text="broken"))
    assert (record.body, record.severity_text) == ("caf\x00é broken: ��", "��")
    assert record.attributes["backtrail.flagged"] == "invalid text"
