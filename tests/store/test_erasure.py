"""An erased trace is in no row and in no file, and does not come back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backtrail_store import Batch, NoRoom, NotEmbedded, Store, erasure, open_store
from backtrail_store.address import parse_address
from tests.factories import SECOND, START, batch_of, otlp_request, plain_span, run_span, span_id, step_span

CANARY = "a canary nobody else says"
WEEK = 7 * 86_400 * SECOND
MINE, OTHER = bytes([1]) * 16, bytes([2]) * 16


def recorded(trace_id: bytes, text: str, *, user: str = "") -> Batch:
    attributes = {"gen_ai.tool.call.result": text, "backtrail.query": text, "user.id": user}
    later = plain_span(trace_id=trace_id, id_=span_id(9), start=START + WEEK, attributes={"note": text})
    return batch_of(
        otlp_request(run_span(trace_id=trace_id), step_span(trace_id=trace_id, attributes=attributes), later)
    )


def files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.fixture
def embedded_store(embedded_dsn: str) -> Iterator[Store]:
    """Whose files can be looked at."""
    with open_store(embedded_dsn) as store:
        store.migrate()
        yield store


@pytest.fixture
def own_store(store_dsn: str) -> Iterator[Store]:
    """What is erased stays so: such ids are not for a store that others use."""
    with open_store(store_dsn) as store:
        if store._address.cluster:
            pytest.skip("a cluster is not erased from here")
        store.migrate()
        yield store


def test_an_erased_trace_is_in_no_row_and_in_no_file(embedded_store: Store, engine_folder: Path) -> None:
    for _ in range(3):
        embedded_store.insert(recorded(MINE, CANARY))
    embedded_store.insert(recorded(OTHER, "what others said"))
    assert files_with(engine_folder, CANARY)

    embedded_store.bury("default", [MINE.hex()])
    erased = embedded_store.erase_buried("default")

    assert (erased.spans, erased.contents, erased.log_records) == (3, 1, 0)
    assert embedded_store.reader.get_trace("default", MINE.hex()) == []
    assert len(embedded_store.reader.get_trace("default", OTHER.hex())) == 3
    assert files_with(engine_folder, CANARY) == []


def test_what_comes_in_late_of_an_erased_trace_is_not_stored(embedded_store: Store, engine_folder: Path) -> None:
    embedded_store.bury("default", [MINE.hex()])

    embedded_store.insert(recorded(MINE, CANARY))
    embedded_store.insert(recorded(OTHER, "what others said"))

    assert embedded_store.reader.get_trace("default", MINE.hex()) == []
    assert len(embedded_store.reader.get_trace("default", OTHER.hex())) == 3
    assert files_with(engine_folder, CANARY) == []


def test_the_same_trace_in_another_project_stays(own_store: Store) -> None:
    request = otlp_request(run_span(trace_id=MINE))
    own_store.insert(batch_of(request, project="ours"))
    own_store.insert(batch_of(request, project="theirs"))

    own_store.bury("ours", [MINE.hex()])

    assert own_store.erase_buried("ours").spans == 1
    assert own_store.reader.get_trace("ours", MINE.hex()) == []
    assert len(own_store.reader.get_trace("theirs", MINE.hex())) == 1
    assert not own_store.is_known("theirs", OTHER.hex())
    assert own_store.is_known("ours", MINE.hex())


def test_a_users_traces_are_those_of_which_any_span_names_the_user(own_store: Store) -> None:
    own_store.insert(recorded(MINE, "asked", user="u'1"))
    own_store.insert(recorded(OTHER, "asked", user="u2"))

    assert own_store.find_traces_of_user("default", "u'1") == [MINE.hex()]
    assert own_store.find_traces_of_user("other", "u'1") == []


def test_the_replays_of_a_run_are_other_runs_and_are_named(own_store: Store) -> None:
    own_store.insert(batch_of(otlp_request(run_span(trace_id=MINE))))
    replay = run_span(trace_id=OTHER, attributes={"backtrail.replay.of": MINE.hex()})
    own_store.insert(batch_of(otlp_request(replay)))

    assert own_store.find_replays("default", [MINE.hex()]) == [OTHER.hex()]


def test_a_store_without_anything_to_erase_erases_nothing(own_store: Store) -> None:
    assert own_store.erase_buried("default").spans == 0


def test_t5_a_disk_that_could_not_take_the_rewriting_is_told_before_it_begins(
    own_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_store.insert(recorded(MINE, CANARY))
    own_store.bury("default", [MINE.hex()])
    monkeypatch.setattr(erasure, "ROOM_LEFT", 1 << 60)

    with pytest.raises(NoRoom, match="make room and erase again"):
        own_store.erase_buried("default")

    assert len(own_store.reader.get_trace("default", MINE.hex())) == 3


def test_a_cluster_is_not_erased_from_here_and_says_how_it_is_done() -> None:
    store = Store(parse_address("clickhouse://db", cluster="all"))

    with pytest.raises(NotEmbedded, match="ALTER TABLE spans_local ON CLUSTER"):
        store.bury("default", [MINE.hex()])
