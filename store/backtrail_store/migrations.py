"""The schema's files, each applied once and in order.

    schema/*.sql → **migrations** → schema_migrations

ClickHouse has no transaction around DDL: a file that was interrupted is applied again from its start the next time, so
each of its statements must do no harm when it was done before.
"""

import re
from importlib import resources

from clickhouse_connect.driver.client import Client

from backtrail_store.client import Address
from backtrail_store.errors import StoreError

SCHEMA = resources.files("backtrail_store") / "schema"
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


def migrate(client: Client, address: Address) -> list[str]:
    """Applies what is missing and returns its names, in order."""
    client.command(
        "CREATE TABLE IF NOT EXISTS schema_migrations (name String, applied_time DateTime64(3, 'UTC') DEFAULT now64(3))"
        " ENGINE = MergeTree ORDER BY name"
    )
    known = {row[0] for row in client.query("SELECT name FROM schema_migrations").result_rows}
    names = schema_files()
    if newer := known - set(names):
        raise StoreError(f"The store was made by a newer Backtrail: it has {', '.join(sorted(newer))}.")
    applied = [name for name in names if name not in known]
    for name in applied:
        for statement in statements((SCHEMA / f"{name}.sql").read_text()):
            client.command(_with_credentials(statement, address))
        client.command("INSERT INTO schema_migrations (name) VALUES ({name:String})", parameters={"name": name})
    return applied


def schema_files() -> list[str]:
    """All that this version knows, in order."""
    return sorted(file.name.removesuffix(".sql") for file in SCHEMA.iterdir() if file.name.endswith(".sql"))


def statements(text: str) -> list[str]:
    """A file's statements: each ends with a semicolon at the end of a line."""
    bare = _COMMENT.sub("", text)
    return [statement.strip() for statement in re.split(r";\s*$", bare, flags=re.MULTILINE) if statement.strip()]


def _with_credentials(statement: str, address: Address) -> str:
    """A dictionary reads its table as a user of its own; on a server that is the one who migrates."""
    if address.folder is not None:
        return statement
    user, password, database = map(_quoted, (address.username, address.password, address.database))
    credentials = f"USER {user} PASSWORD {password} DB {database}"
    return statement.replace("/*credentials*/", credentials)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
