"""When rules change: views take the new ones without a gap, and stored spans are made anew under them."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail_store import NoRoom, Store, open_store
from tests.conftest import TEST_STORE
from tests.factories import SECOND, START, TRACE_ID, batch_of, otlp_request, plain_span, span_id

EVER = datetime(1970, 1, 1, tzinfo=UTC)
TRACE = TRACE_ID.hex()
HOUR = 3600 * SECOND
WEEK = 7 * 24 * HOUR
NO_ANSWERS = "SELECT * EXCEPT answers, CAST([], 'Array(Tuple(UInt32, String))') AS answers FROM ({query})"
VIEW = "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = 'span_in_view'"


@pytest.fixture
def store(store_dsn: str) -> Iterator[Store]:
    """As an older version with other rules has left it: nothing was asked of what attributes say."""
    with open_store(store_dsn) as store:
        store.migrate()
        forget_rules(store)
        yield store


def forget_rules(store: Store) -> None:
    with store._writers.borrow() as client:
        [(query,)] = client.query(VIEW).result_rows
        client.command(f"ALTER TABLE span_in_view MODIFY QUERY {NO_ANSWERS.format(query=query)}")
        client.command(
            "ALTER TABLE schema_migrations UPDATE sha256 = 'older' WHERE name = '0006_span_in_view'",
            settings={"mutations_sync": 1},
        )


def call(number: int, *, start: int = START, **attributes: object) -> Span:
    said = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": number} | attributes
    return plain_span(f"{number}", id_=span_id(number), start=start, attributes=said)  # type: ignore[arg-type]


def tokens(store: Store) -> dict[str, int | None]:
    return {row.name: row.input_tokens for row in store.reader.get_trace("default", TRACE)}


def renormalise_all(store: Store) -> int:
    waiting = [hour for hour in store.list_hours(since=EVER) if not hour.is_done]
    for hour in waiting:
        store.renormalise(hour.project, hour.hour)
    return len(waiting)


def stored_rows(store: Store) -> int:
    with store._readers.borrow() as client:
        return int(client.query("SELECT count() FROM spans").result_rows[0][0])


def test_a_server_with_other_rules_takes_its_own_and_leaves_stored_spans_as_they_are(store: Store) -> None:
    store.insert(batch_of(otlp_request(call(1))))
    assert store.migrate() == ["0006_span_in_view"]
    store.insert(batch_of(otlp_request(call(2))))

    assert tokens(store) == {"1": None, "2": 2}
    assert store.migrate() == []


def test_stored_spans_are_made_anew_and_nothing_else_about_them_changes(store: Store) -> None:
    usage = json.dumps({"input": 40, "output": 9, "note": "x" * 2000})
    late = call(3, start=START - WEEK)
    late.end_time_unix_nano = 2**63 + 5
    pending = {"backtrail.kind": "pending", "backtrail.pending.of": span_id(5).hex(), "backtrail.pending.kind": "run"}
    spans = [
        call(1),
        call(2, start=START + HOUR),
        late,
        plain_span("4", id_=span_id(4), attributes={"langfuse.observation.usage_details": usage, "user.id": "u"}),
        plain_span("5", id_=span_id(6), attributes={**pending, "gen_ai.usage.input_tokens": 5}),
    ]
    store.insert(batch_of(otlp_request(*spans)))
    before = {row.name: row for row in store.reader.get_trace("default", TRACE)}
    store.migrate()

    assert renormalise_all(store) == 3

    rows = {row.name: row for row in store.reader.get_trace("default", TRACE)}
    assert {name: row.input_tokens for name, row in rows.items()} == {"1": 1, "2": 2, "3": 3, "4": 40, "5": 5}
    assert (rows["1"].step_kind, rows["4"].user_id, rows["5"].is_pending) == ("llm", "u", True)
    for name, row in rows.items():
        same = ("span_id", "parent_span_id", "start_time_unix_nano", "duration_ns", "attributes", "received_unix_nano")
        assert [getattr(row, field) for field in same] == [getattr(before[name], field) for field in same]
    assert "time out of range" in str(rows["3"].attributes["backtrail.flagged"])
    assert stored_rows(store) == 5


def test_what_was_done_is_not_done_again_and_what_was_left_is(store: Store) -> None:
    store.insert(batch_of(otlp_request(*(call(number, start=START + number * HOUR) for number in range(1, 4)))))
    store.migrate()
    first, *others = store.list_hours(since=EVER)
    store.renormalise(first.project, first.hour)

    assert [hour.is_done for hour in store.list_hours(since=EVER)] == [True, False, False]
    assert tokens(store) == {"1": None, "2": None, "3": 3}
    assert renormalise_all(store) == len(others) == 2
    assert tokens(store) == {"1": 1, "2": 2, "3": 3}
    assert renormalise_all(store) == 0


def test_other_rules_begin_from_the_start(store: Store) -> None:
    store.insert(batch_of(otlp_request(call(1))))
    store.migrate()
    assert renormalise_all(store) == 1
    with store._writers.borrow() as client:
        client.command(
            "INSERT INTO renormalised (rules, project, hour) SELECT 'others', project, hour FROM renormalised"
        )
        client.command("ALTER TABLE renormalised DELETE WHERE rules != 'others'", settings={"mutations_sync": 1})

    assert renormalise_all(store) == 1
    assert (tokens(store), stored_rows(store)) == ({"1": 1}, 1)


def test_spans_that_came_under_the_present_rules_need_nothing(store: Store) -> None:
    store.migrate()
    store.insert(batch_of(otlp_request(call(1)), received=time.time_ns()))

    assert [hour.is_done for hour in store.list_hours(since=EVER)] == [True]

    store.insert(batch_of(otlp_request(call(2))))  # of an old inbox, say
    assert [hour.is_done for hour in store.list_hours(since=EVER)] == [False]


def test_only_hours_since_a_moment_are_named(store: Store) -> None:
    store.insert(batch_of(otlp_request(call(1, start=START - WEEK), call(2))))

    since = datetime.fromtimestamp(START // SECOND, UTC)
    assert [hour.spans for hour in store.list_hours(since=since)] == [1]
    assert [hour.spans for hour in store.list_hours(since=EVER)] == [1, 1]


@pytest.mark.skipif("cluster=" in TEST_STORE, reason="on a cluster erasing is refused, see test_cluster")
def test_spans_of_an_erased_trace_do_not_come_back(store: Store) -> None:
    store.insert(batch_of(otlp_request(call(1))))
    store.migrate()
    [hour] = store.list_hours(since=EVER)
    store.bury("default", [TRACE])
    store.erase_buried("default")

    store.renormalise(hour.project, hour.hour)

    assert tokens(store) == {}


def test_the_spans_of_another_project_are_left_alone(store: Store) -> None:
    store.insert(batch_of(otlp_request(call(1)), project="default"))
    store.insert(batch_of(otlp_request(call(1)), project="other"))
    store.migrate()

    hour = next(hour for hour in store.list_hours(since=EVER) if hour.project == "other")
    store.renormalise("other", hour.hour)
    store.renormalise("nobody's", hour.hour)

    assert tokens(store) == {"1": None}
    assert [row.input_tokens for row in store.reader.get_trace("other", TRACE)] == [1]


def test_a_disk_that_could_not_take_it_is_a_refusal_beforehand(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.insert(batch_of(otlp_request(call(1))))
    monkeypatch.setattr("backtrail_store.renormalisation.ROOM_LEFT", 1 << 62)

    with pytest.raises(NoRoom, match=r"the week of 2026-09-21 of default anew takes up to \d+ bytes, and the store's"):
        renormalise_all(store)
