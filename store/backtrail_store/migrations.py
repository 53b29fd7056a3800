"""The schema's files, each applied once and in order.

    schema/*.sql → **migrations** (→ cluster) → schema_migrations

ClickHouse has no transaction around DDL: a file that was interrupted is applied again from its start the next time, so
each of its statements must do no harm when it was done before. A file that was applied is never applied again, so it is
remembered by what it said too: a store made by other statements of the same name is refused, not half used.

Files that make nothing but functions and views are rules: what is said of spans as they come in. They hold no rows, so
when one of them has changed all of them are made anew, in place, because a view has its functions' text within it.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from hashlib import sha256
from importlib import resources

from clickhouse_connect.driver.client import Client

from backtrail_store.address import Address
from backtrail_store.cluster import ClusterSchema, quoted
from backtrail_store.errors import StoreError

SCHEMA = resources.files("backtrail_store") / "schema"
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
_REMEMBERED = """\
CREATE TABLE IF NOT EXISTS schema_migrations (
  name String,
  sha256 String,
  applied_time DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = MergeTree ORDER BY name"""
_RULE = re.compile(r"CREATE (?:OR REPLACE FUNCTION|MATERIALIZED VIEW IF NOT EXISTS) ")
_VIEW = re.compile(
    r"CREATE MATERIALIZED VIEW IF NOT EXISTS (?P<name>\w+) TO (?P<target>\w+) AS\s(?P<query>.*)", re.DOTALL
)
CONVENTIONS = ("0004_conventions", "0004_functions", "0007_spans_view")
_REMEMBER = "INSERT INTO schema_migrations (name, sha256) VALUES ({name:String}, {sha256:String})"


class Schema:
    """Every statement that makes a store at this address, in order."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._cluster = ClusterSchema(address.cluster, address.database) if address.cluster else None
        self.database = self._rendered(f"CREATE DATABASE IF NOT EXISTS `{address.database}`")
        self.remembered = self._rendered(_REMEMBERED)
        self.files = {name: self._rendered(*statements_of(name)) for name in schema_files()}
        # A view takes another query without being away for a moment, in which spans of others would be lost.
        self.rules = {
            name: self._rendered(*(_changed(statement) for statement in statements_of(name)))
            for name in schema_files()
            if is_rule(name)
        }

    def stored(self, table: str) -> str:
        """The table that has the rows of `table`."""
        return self._cluster.stored(table) if self._cluster else table

    def everywhere(self, query: str) -> str:
        """A question about system tables, for all nodes that have rows. Replicas are counted one by one."""
        return self._cluster.everywhere(query) if self._cluster else query

    def on_all_nodes(self, statement: str) -> list[str]:
        """An ALTER, TRUNCATE, OPTIMIZE or DELETE of a table, as it has to be said to the nodes that have its rows."""
        return self._rendered(statement)

    def _rendered(self, *statements: str) -> list[str]:
        rendered = [part for text in statements for part in (self._cluster.render(text) if self._cluster else [text])]
        return [_with_credentials(statement, self._address) for statement in rendered]


@lru_cache(maxsize=8)
def schema_of(address: Address) -> Schema:
    return Schema(address)


def migrate(client: Client, address: Address) -> list[str]:
    """Applies what is missing, makes rules that have changed anew, and returns the names of both, in order. Needs no
    right to change anything if nothing is."""
    schema = schema_of(address)
    known = _applied(client, address)
    missing = [name for name in schema.files if name not in known]
    changed = [name for name in schema.rules if known.get(name, digest(name)) != digest(name)]
    if not missing and not changed:
        return []
    for statement in schema.database:
        client.command(statement, use_database=False)
    for statement in schema.remembered:
        client.command(statement)
    for name in missing:
        _apply(client, name, schema.files[name])
    for name in schema.rules if changed else ():
        if name not in missing:
            _apply(client, name, schema.rules[name])
    return sorted(missing + changed)


def _apply(client: Client, name: str, statements: list[str]) -> None:
    for statement in statements:
        client.command(statement)
    client.command(_REMEMBER, parameters={"name": name, "sha256": digest(name)})


def check_schema(client: Client, address: Address) -> None:
    """Raises StoreError, with what to do, unless every file has been applied."""
    known = _applied(client, address)
    if missing := [name for name in schema_files() if name not in known]:
        raise StoreError(
            f"The database {address.database} lacks {', '.join(missing)}: "
            "run backtrail-server migrate, or start a process that receives"
        )


def print_schema(address: Address) -> Iterator[str]:
    """The script that does what `migrate` would do to a server without a database. Its password is left out."""
    schema = schema_of(address)
    yield from (f"{statement};\n" for statement in schema.database)
    yield f"USE `{address.database}`;\n"
    yield from (f"{statement};\n" for statement in schema.remembered)
    for name, statements in schema.files.items():
        yield f"-- {name}\n"
        for statement in statements:
            yield f"{statement};\n".replace(f"PASSWORD {quoted(address.password)}", "PASSWORD '***'")
        yield f"INSERT INTO schema_migrations (name, sha256) VALUES ({quoted(name)}, {quoted(digest(name))});\n"


def schema_files() -> list[str]:
    """All that this version knows, in order."""
    return sorted(file.name.removesuffix(".sql") for file in SCHEMA.iterdir() if file.name.endswith(".sql"))


@cache
def digest(name: str) -> str:
    """What a file says, whatever its comments say."""
    return sha256(";".join(statements_of(name)).encode()).hexdigest()


@cache
def digest_of_conventions() -> str:
    """What is said of how attributes become columns."""
    return sha256(" ".join(map(digest, CONVENTIONS)).encode()).hexdigest()


def is_rule(name: str) -> bool:
    """Whether a file makes nothing that holds rows."""
    return all(_RULE.match(statement) for statement in statements_of(name))


def view_query(name: str) -> str:
    """What a materialized view selects; it stands alone in the file of its name."""
    for file in schema_files():
        for statement in statements_of(file):
            if (found := _VIEW.fullmatch(statement)) and found["name"] == name:
                return found["query"]
    raise LookupError(name)


@cache
def statements_of(name: str) -> list[str]:
    return statements((SCHEMA / f"{name}.sql").read_text())


def _changed(statement: str) -> str:
    found = _VIEW.fullmatch(statement)
    return f"ALTER TABLE {found['name']} MODIFY QUERY {found['query']}" if found else statement


def statements(text: str) -> list[str]:
    """A file's statements: each ends with a semicolon at the end of a line."""
    bare = _COMMENT.sub("", text)
    return [statement.strip() for statement in re.split(r";\s*$", bare, flags=re.MULTILINE) if statement.strip()]


def _applied(client: Client, address: Address) -> dict[str, str]:
    """Digests by name. By this node's own table: one that has just joined a cluster has to be given everything."""
    is_there = client.command(
        "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'schema_migrations'",
        parameters={"database": address.database},
        use_database=False,
    )
    if not is_there:
        return {}
    rows = client.query("SELECT * FROM schema_migrations ORDER BY applied_time").named_results()
    known = {row["name"]: row.get("sha256", "") for row in rows}
    if newer := known.keys() - set(schema_files()):
        raise StoreError(f"The store was made by a newer Backtrail: it has {', '.join(sorted(newer))}.")
    if others := [name for name in sorted(known) if known[name] != digest(name) and not is_rule(name)]:
        raise StoreError(
            f"The store was made by a version of Backtrail with other tables: {', '.join(others)} "
            f"{'differs' if len(others) == 1 else 'differ'} from this one's. Nothing was changed. "
            "Serve it with the version that made it, or let this one begin with a folder or database of its own."
        )
    return known


def _with_credentials(statement: str, address: Address) -> str:
    """A dictionary reads its table as a user of its own; on a server that is the one who migrates."""
    if address.folder is not None:
        return statement
    user, password, database = map(quoted, (address.username, address.password, address.database))
    credentials = f"USER {user} PASSWORD {password} DB {database}"
    return statement.replace("/*credentials*/", credentials)
