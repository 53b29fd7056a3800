"""Projects and keys: rows that are written again, and read as last written."""

from dataclasses import replace

from backtrail_store import ApiKey, Project, Store, open_store
from tests.conftest import Insert
from tests.factories import TRACE_ID, run_span, step_span

KEY = ApiKey(
    id="k1",
    project='it\'s \\ "odd"\n',
    name="ci\ttab",
    prefix="bt_0123abcd",
    sha256="00" * 32,
    scopes=("ingest", "read"),
    created_unix_milli=1_790_000_000_123,
    expires_unix_milli=1_790_000_000_999,
)


def test_a_key_comes_back_as_it_was_put(store_dsn: str) -> None:
    with open_store(store_dsn) as store:
        store.migrate()
        store.keys.put(KEY)

        assert store.keys.list() == [KEY]


def test_of_a_key_that_was_put_again_the_last_counts(store_dsn: str) -> None:
    revoked = replace(KEY, revoked_unix_milli=1_790_000_001_001)
    with open_store(store_dsn) as store:
        store.migrate()
        store.keys.put(KEY)
        store.keys.put(revoked)

        assert store.keys.list() == [revoked]


def test_a_deleted_project_is_gone_and_its_name_is_remembered(store_dsn: str) -> None:
    with open_store(store_dsn) as store:
        store.migrate()
        shop = store.projects.create("shop")
        store.projects.put(replace(shop, spans_days=30))
        assert store.projects.list() == [Project(name="default"), replace(shop, spans_days=30)]
        assert not store.projects.was_deleted("shop")

        store.projects.delete(shop)

        assert store.projects.get("shop") is None
        assert store.projects.was_deleted("shop")


def test_of_a_dropped_project_nothing_is_left_and_of_others_everything(insert: Insert, store: Store) -> None:
    insert(run_span(), step_span(attributes={"gen_ai.tool.call.result": "found"}), project="shop")
    insert(run_span(), step_span(attributes={"gen_ai.tool.call.result": "found"}), project="bank")

    store.drop_project("shop")

    assert store.reader.get_trace("shop", TRACE_ID.hex()) == []
    assert len(store.reader.get_trace("bank", TRACE_ID.hex())) == 2
    with store._readers.borrow() as client:
        assert client.query("SELECT DISTINCT project FROM contents").result_rows == [("bank",)]


def test_the_default_project_is_always_there(store_dsn: str) -> None:
    with open_store(store_dsn) as store:
        store.migrate()

        assert store.projects.get("default") == Project(name="default")
