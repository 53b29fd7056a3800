"""The questions that there are, and how one is asked.

queries/*.sql → **questions** → reader, log_reader, erasure, …
"""

from importlib import resources
from typing import Any

from clickhouse_connect.driver.query import QueryResult

from backtrail_store.client import ClientPool

QUERIES = {
    file.name.removesuffix(".sql"): file.read_text()
    for file in (resources.files("backtrail_store") / "queries").iterdir()
    if file.name.endswith(".sql")
}
READ_SETTINGS: dict[str, object] = {
    # A row's partition follows its immutable start time, so versions of one row never lie in two.
    "do_not_merge_across_partitions_select_final": 1,
    # Safe because trace_id, the column of the only skip index, is part of the sorting key.
    "use_skip_indexes_if_final_exact_mode": 0,
    "max_threads": 2,
}


def ask(clients: ClientPool, query: str, /, **parameters: Any) -> QueryResult:
    """What a reader asks. Raises StoreUnavailable."""
    with clients.borrow() as client:
        return client.query(QUERIES[query], parameters=parameters, settings=READ_SETTINGS)
