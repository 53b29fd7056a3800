"""Projects and keys: rows that are written again, and read as last written."""

from dataclasses import replace

from backtrail_store import ApiKey, Project, open_store

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


def test_a_deleted_project_is_gone_and_may_be_made_again(store_dsn: str) -> None:
    with open_store(store_dsn) as store:
        store.migrate()
        shop = store.projects.create("shop")
        store.projects.put(replace(shop, spans_days=30))
        assert store.projects.list() == [Project(name="default"), replace(shop, spans_days=30)]

        store.projects.delete(shop)
        assert store.projects.get("shop") is None

        again = store.projects.create("shop")
        assert store.projects.get("shop") == again


def test_the_default_project_is_always_there(store_dsn: str) -> None:
    with open_store(store_dsn) as store:
        store.migrate()

        assert store.projects.get("default") == Project(name="default")
