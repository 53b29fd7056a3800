"""Small tables whose rows are written again when something about them changes; FINAL shows the newest.

projects, keys → **rewritten** → ReplacingMergeTree(version)
"""

import time
from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic_core import to_json

from backtrail_store.client import ClientPool
from backtrail_store.questions import ask

Milliseconds: TypeAlias = int  # since 1970


def now() -> Milliseconds:
    return time.time_ns() // 1_000_000


def put(clients: ClientPool, table: str, columns: Mapping[str, object]) -> None:
    """Returns when the row is on disk. A column that ends in `_time` is given in milliseconds."""
    row = {name: _decimal_seconds(value) if name.endswith("_time") else value for name, value in columns.items()}
    with clients.borrow() as client:
        # Not the time alone: clocks are set back, and several processes have several.
        last = client.query(f"SELECT max(version) FROM {table}").result_rows[0][0]
        row["version"] = max(time.time_ns(), last + 1)
        # As text: inserting Python lists would import pandas and keep 75 MB for it.
        client.raw_insert(table, insert_block=to_json(row), fmt="JSONEachRow")


def rows_of(clients: ClientPool, query: str) -> list[dict[str, Any]]:
    return list(ask(clients, query).named_results())


def _decimal_seconds(milliseconds: object) -> str | None:
    if not isinstance(milliseconds, int):
        return None
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds:010d}.{rest:03d}"  # fewer digits would be read as a date
