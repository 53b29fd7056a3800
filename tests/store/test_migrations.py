"""The schema's files, each applied once."""

from importlib import resources

import pytest

from backtrail_store import StoreError, open_store
from backtrail_store.conventions.table import conventions
from backtrail_store.migrations import statements
from tests.factories import TRACE_ID, batch_of, otlp_request, plain_span


def test_a_second_migration_finds_nothing_to_do(store_dsn: str) -> None:
    with open_store(store_dsn) as store:
        first, second = store.migrate(), store.migrate()

    files = (resources.files("backtrail_store") / "schema").iterdir()
    assert first == sorted(file.name.removesuffix(".sql") for file in files if file.name.endswith(".sql"))
    assert second == []


def test_files_that_were_applied_but_not_remembered_are_applied_again(store_dsn: str) -> None:
    with open_store(store_dsn) as store:
        first = store.migrate()
        with store._writers.borrow() as client:
            client.command("TRUNCATE TABLE schema_migrations")

        assert store.migrate() == first
        store.insert(batch_of(otlp_request(plain_span())))
        assert len(store.reader.get_trace("default", TRACE_ID.hex())) == 1


def test_a_store_made_by_a_newer_release_is_left_alone(store_dsn: str) -> None:
    with open_store(store_dsn) as store:
        store.migrate()
        with store._writers.borrow() as client:
            client.insert("schema_migrations", [["9999_from_the_future"]], column_names=["name"])

        with pytest.raises(StoreError, match="newer Backtrail: it has 9999_from_the_future"):
            store.migrate()


@pytest.mark.parametrize("change", ["UPDATE sha256 = 'other' WHERE name = '0002_spans'", "DROP COLUMN sha256"])
def test_a_store_with_other_tables_under_the_same_names_is_refused_in_one_sentence_each_time(
    embedded_dsn: str, change: str
) -> None:
    with open_store(embedded_dsn) as store:
        store.migrate()
        with store._writers.borrow() as client:
            client.command(f"ALTER TABLE schema_migrations {change}", settings={"mutations_sync": 1})

        for look in (store.migrate, store.check_schema, store.migrate):
            with pytest.raises(StoreError, match=r"with other tables: .*0002_spans.* Nothing was changed"):
                look()


def test_a_file_is_cut_into_statements_at_semicolons_that_end_a_line() -> None:
    text = "-- one; comment;\nSELECT ';' AS a;\n\nSELECT 2\n  -- inside;\n  , 3;\n"

    assert [" ".join(part.split()) for part in statements(text)] == ["SELECT ';' AS a", "SELECT 2 , 3"]


def test_every_payload_of_the_conventions_is_kept_out_of_the_light_columns() -> None:
    names = resources.files("backtrail") / "semconv.py"
    payloads = {line.split('"')[1] for line in names.read_text().splitlines() if "# payload" in line}

    assert payloads
    assert payloads - set(conventions().payloads) == set()
