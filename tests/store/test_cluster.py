"""The schema's statements as a cluster needs them."""

import re
from pathlib import Path

import pytest
from chdb.state import connect

from backtrail_store import StoreError, parse_address, print_schema
from backtrail_store.cluster import ClusterSchema
from backtrail_store.migrations import Schema, statements

DSN = "clickhouse://u:geheim@h/trail?cluster=main"
SPLIT = {"spans", "contents", "logs"}
SHARED = {"erased", "model_prices", "price_rules", "projects", "renormalised", "api_keys", "schema_migrations"}


def rendered(dsn: str = DSN) -> list[str]:
    schema = Schema(parse_address(dsn))
    parts = [*schema.files.values(), *schema.rules.values()]
    return [*schema.database, *schema.remembered, *(statement for part in parts for statement in part)]


def made(kind: str) -> dict[str, str]:
    """The statements that make things of a kind, by name."""
    head = re.compile(rf"CREATE (?:OR REPLACE )?{kind}(?: IF NOT EXISTS)? (\w+)")
    return {found[1]: statement for statement in rendered() if (found := head.match(statement))}


@pytest.mark.parametrize("dsn", [DSN, "clickhouse://u:geheim@h/trail", "chdb:///x"])
def test_clickhouse_reads_every_statement(dsn: str, engine_folder: Path) -> None:
    connection = connect(str(engine_folder))

    for statement in rendered(dsn):
        assert connection.query(f"EXPLAIN AST {statement}")  # raises where it cannot be read
        assert ("ON CLUSTER 'main'" in statement) == (dsn == DSN)


def test_rows_of_traces_are_split_over_the_shards_so_that_a_trace_is_on_one() -> None:
    tables = made("TABLE")

    assert {name.removesuffix("_local") for name in tables if name.endswith("_local")} == SPLIT
    for name in SPLIT:
        engine = tables[f"{name}_local"].partition("ENGINE = ")[2]
        assert engine.startswith(
            "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
        )
        assert " replicated_deduplication_window = 10000" in engine
        assert "non_replicated_deduplication_window" not in engine
        assert tables[name] == (
            f"CREATE TABLE IF NOT EXISTS {name} ON CLUSTER 'main' AS {name}_local\n"
            f"ENGINE = Distributed('main', 'trail', {name}_local, cityHash64(project, trace_id))"
        )


def test_small_tables_are_the_same_on_every_node() -> None:
    tables = made("TABLE")

    kept = {name for name, statement in tables.items() if "MergeTree" in statement}
    assert kept == SHARED | {f"{name}_local" for name in SPLIT}
    for name in SHARED:
        engine = tables[name].partition("ENGINE = Replicated")[2]
        assert "MergeTree('/clickhouse/tables/all/{database}/{table}', '{shard}-{replica}'" in engine


def test_every_node_has_the_doors_and_the_views_behind_them() -> None:
    tables, views = made("TABLE"), made("MATERIALIZED VIEW")
    doors = {name for name, statement in tables.items() if statement.endswith("ENGINE = Null")}

    assert {"otlp_in", "span_in"} <= doors
    assert views
    for view in views.values():
        found = re.search(r"TO (\w+) AS", view)
        assert found
        assert found[1] in doors | SPLIT


def test_what_runs_on_other_nodes_names_the_database_it_means() -> None:
    script = "\n".join(rendered())

    assert "dictGetOrDefault('trail.prices'" in script
    assert not re.search(r"dict\w+\('prices'", script)
    assert "LIFETIME(MIN 30 MAX 60)" in made("DICTIONARY")["prices"]


def test_a_new_column_comes_to_the_table_that_has_the_rows_and_to_the_one_before_it() -> None:
    altered = Schema(parse_address(DSN)).on_all_nodes("ALTER TABLE spans ADD COLUMN note String")

    assert [statement.split()[2] for statement in altered] == ["spans_local", "spans"]


def test_what_is_done_to_rows_is_done_where_they_are() -> None:
    schema = Schema(parse_address(DSN))

    assert schema.on_all_nodes("ALTER TABLE spans DROP PARTITION ID {id:String}") == [
        "ALTER TABLE spans_local ON CLUSTER 'main' DROP PARTITION ID {id:String}"
    ]
    assert schema.on_all_nodes("TRUNCATE TABLE contents") == ["TRUNCATE TABLE contents_local ON CLUSTER 'main'"]
    assert schema.on_all_nodes("DELETE FROM projects WHERE 1") == ["DELETE FROM projects ON CLUSTER 'main' WHERE 1"]
    assert schema.everywhere("SELECT 1 FROM system.parts WHERE database = currentDatabase()") == (
        "SELECT 1 FROM clusterAllReplicas('main', system.parts) WHERE database = 'trail'"
    )
    assert Schema(parse_address("chdb:///x")).on_all_nodes("TRUNCATE TABLE spans") == ["TRUNCATE TABLE spans"]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE IF NOT EXISTS t (a Int8) ENGINE = Log",
        "CREATE TABLE IF NOT EXISTS t (a Int8)",
        "CREATE TABLE IF NOT EXISTS t (a Int8",
        "CREATE TABLE t (a Int8) ENGINE = Null",
        "CREATE TABLE IF NOT EXISTS t (a Int8) ENGINE = MergeTree PARTITION BY a ORDER BY a",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS v TO t AS SELECT * FROM spans",
        "ALTER TABLE unknown ADD COLUMN a Int8",
        "DROP TABLE spans",
        "RENAME TABLE a TO b",
    ],
)
def test_a_statement_without_a_rule_is_refused(statement: str) -> None:
    with pytest.raises(StoreError):
        list(ClusterSchema("main", "trail").render(statement))


def test_a_parenthesis_in_a_default_does_not_end_the_columns() -> None:
    statement = "CREATE TABLE IF NOT EXISTS t (a String DEFAULT ')\\') ENGINE = Null') ENGINE = MergeTree ORDER BY a"

    [made] = ClusterSchema("main", "trail").render(statement)

    assert made.endswith(
        "ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/{database}/{table}', '{shard}-{replica}') ORDER BY a"
    )


@pytest.mark.parametrize("dsn", [DSN, "clickhouse://u:geheim@h/trail"])
def test_the_printed_script_holds_everything_but_the_password(dsn: str) -> None:
    script = "".join(print_schema(parse_address(dsn)))

    assert "geheim" not in script
    assert "USER 'u' PASSWORD '***' DB 'trail'" in script
    for name in Schema(parse_address(dsn)).files:
        assert f"INSERT INTO schema_migrations (name, sha256) VALUES ('{name}', " in script


def test_clickhouse_reads_the_rights_that_the_documentation_gives(engine_folder: Path) -> None:
    connection = connect(str(engine_folder))
    page = (Path(__file__).parents[2] / "docs/clickhouse.md").read_text()

    grants = [part for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL) for part in statements(block)]

    assert len(grants) > 10
    for grant in grants:
        assert connection.query(f"EXPLAIN AST {grant}")  # the same
