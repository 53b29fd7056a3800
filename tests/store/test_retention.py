"""What is too old goes by whole weeks, project by project, and its age is counted from when it was received."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from backtrail_store import Keeping, Store
from tests.conftest import Insert
from tests.factories import SECOND, START, plain_span, span_id

DAY = 86_400 * SECOND
NOW = datetime.fromtimestamp(START / SECOND, UTC)
TEXT = {"gen_ai.tool.call.result": "what was found"}


def nanos(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND


def trace(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.fixture
def receive(insert: Insert) -> Callable[..., None]:
    """A span with a text, begun and received so many days ago."""

    def receive(number: int, *, begun: float, received: float | None = None, project: str = "default") -> None:
        start = nanos(NOW - timedelta(days=begun))
        at = start if received is None else nanos(NOW - timedelta(days=received))
        insert(plain_span(trace_id=trace(number), start=start, attributes=TEXT), project=project, received=at)

    return receive


def kept(store: Store, *numbers: int, project: str = "default") -> list[int]:
    return [number for number in numbers if store.reader.get_trace(project, trace(number).hex())]


def keep(spans: int, contents: int = 0) -> Callable[[str], Keeping]:
    return lambda project: Keeping(spans, contents)


def test_a_week_goes_when_its_last_span_is_too_old(store: Store, receive: Callable[..., None]) -> None:
    for number, age in enumerate([60, 45, 25, 0], start=1):
        receive(number, begun=age)

    dropped = store.drop_expired(keep(30), NOW)

    assert {one.table for one in dropped} == {"spans", "contents"}
    assert kept(store, 1, 2, 3, 4) == [3, 4]


def test_nothing_goes_before_its_time_though_its_week_has_begun_long_ago(
    store: Store, receive: Callable[..., None]
) -> None:
    monday = NOW - timedelta(days=NOW.weekday() + 28)
    ages = [(NOW - monday).days - day for day in range(7)]
    for number, age in enumerate(ages, start=1):
        receive(number, begun=age)

    store.drop_expired(keep(ages[-1]), NOW)
    assert kept(store, *range(1, 8)) == [1, 2, 3, 4, 5, 6, 7]

    store.drop_expired(keep(ages[-1]), NOW + timedelta(days=2))
    assert kept(store, *range(1, 8)) == []


def test_each_project_has_its_own_age_and_others_are_kept_for_ever(store: Store, receive: Callable[..., None]) -> None:
    receive(1, begun=50, project="short")
    receive(2, begun=50, project="it's (a) \\ name")
    receive(3, begun=50, project="default")
    ages = {"short": Keeping(30), "it's (a) \\ name": Keeping(7)}

    store.drop_expired(lambda project: ages.get(project, Keeping()), NOW)

    assert kept(store, 1, project="short") == kept(store, 2, project="it's (a) \\ name") == []
    assert kept(store, 3) == [3]


def test_payload_texts_may_go_before_their_spans(store: Store, receive: Callable[..., None]) -> None:
    receive(1, begun=20)

    store.drop_expired(keep(60, contents=7), NOW)

    [span] = store.reader.get_trace("default", trace(1).hex())
    assert "gen_ai.tool.call.result" not in span.attributes


def test_payload_texts_are_never_kept_longer_than_their_spans(store: Store, receive: Callable[..., None]) -> None:
    receive(1, begun=50)

    dropped = store.drop_expired(keep(30, contents=90), NOW)

    assert sorted(one.table for one in dropped) == ["contents", "spans"]


@pytest.mark.parametrize("start", [0, 2**64 - 1], ids=["1970", "far future"])
def test_t21_a_time_nobody_can_mean_is_kept_as_long_as_others_and_no_longer(
    store: Store, insert: Insert, start: int
) -> None:
    insert(plain_span(trace_id=trace(1), start=start, duration=0, attributes=TEXT), received=nanos(NOW))

    store.drop_expired(keep(30), NOW + timedelta(days=29))
    assert kept(store, 1) == [1]

    store.drop_expired(keep(30), NOW + timedelta(days=31))
    assert kept(store, 1) == []


def test_a_broken_clock_that_keeps_sending_does_not_keep_its_old_spans_for_ever(store: Store, insert: Insert) -> None:
    for number, age in enumerate([50, 40, 20, 1], start=1):
        received = nanos(NOW - timedelta(days=age))
        insert(plain_span(trace_id=trace(number), start=SECOND, id_=span_id(number)), received=received)

    store.drop_expired(keep(30), NOW)

    with store._readers.borrow() as client:
        waiting = "SELECT count() FROM system.mutations WHERE NOT is_done AND database = currentDatabase()"
        while client.command(waiting) != 0:
            pass
    assert kept(store, 1, 2, 3, 4) == [3, 4]


def test_an_old_run_that_was_imported_today_is_there_to_be_looked_at(
    store: Store, receive: Callable[..., None]
) -> None:
    receive(1, begun=400, received=0)

    store.drop_expired(keep(30), NOW)
    assert kept(store, 1) == [1]


def test_a_span_that_comes_in_while_its_old_week_is_dropped_is_kept(store: Store, receive: Callable[..., None]) -> None:
    """Before, one in ten was lost that came between the look at the week and its dropping."""
    for number in range(1, 17):
        receive(100 + number, begun=50)
        importing = threading.Timer(number / 250, lambda number=number: receive(number, begun=50, received=0))
        importing.start()
        store.drop_expired(keep(30), NOW)
        importing.join()

        assert kept(store, number) == [number]
        store.drop_project("default")


def test_the_oldest_week_of_all_projects_goes_first_and_what_is_new_stays(
    store: Store, receive: Callable[..., None]
) -> None:
    receive(1, begun=50, project="a")
    receive(2, begun=50, project="b")
    receive(3, begun=30, project="a")
    receive(4, begun=0, project="a")

    assert len(store.drop_oldest_week(NOW)) == 4
    assert kept(store, 1, 3, 4, project="a") == [3, 4]
    assert len(store.drop_oldest_week(NOW)) == 2
    assert store.drop_oldest_week(NOW) == []
    assert kept(store, 4, project="a") == [4]
