"""How the store is: does it answer, is it whole, how much room has it left.

    system.detached_parts, errors, disks, replicas → **health** → readiness → GET /readyz, backtrail-server check

On a connection of its own, so that long queries of others do not look like a store that is away.
"""

from dataclasses import dataclass
from pathlib import Path

from clickhouse_connect.driver.client import Client

from backtrail_store.client import ClientPool
from backtrail_store.questions import QUERIES


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenPart:
    """Rows that were readable once. `rows` is None where the part does not even say how many it held."""

    table: str
    partition: str
    name: str
    reason: str
    bytes: int
    rows: int | None
    path: str

    def __str__(self) -> str:
        held = "an unknown number of rows" if self.rows is None else f"{self.rows} rows"
        return f"{self.name} of table {self.table} ({self.reason}, {held}, {self.bytes} bytes, at {self.path})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AilingReplica:
    """A copy of a table that takes no rows (`is_readonly`), or is late with those that others took."""

    table: str
    is_readonly: bool
    delay_seconds: int
    waiting: int

    def __str__(self) -> str:
        if self.is_readonly:
            return f"{self.table} is read-only on this node: it has lost ClickHouse Keeper"
        return (
            f"{self.table} is {self.delay_seconds} s behind other replicas, with {self.waiting} parts to fetch or merge"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    """`damaged_reads` are the engine's own words about bytes it could not believe, None if it never met any."""

    version: str
    free_bytes: int
    broken_parts: tuple[BrokenPart, ...]
    damaged_reads: str | None
    ailing_replicas: tuple[AilingReplica, ...] = ()


def read_health(clients: ClientPool) -> StoreHealth:
    """Raises StoreUnavailable."""
    with clients.borrow() as client:
        version, free = client.query("SELECT version(), min(free_space) FROM system.disks").result_rows[0]
        broken = [_broken_part(row) for row in client.query(QUERIES["broken_parts"]).named_results()]
        # A server's errors are those of everybody who uses it.
        damaged = _damaged_reads(client) if clients.is_embedded else None
        replicas = [AilingReplica(**row) for row in client.query(QUERIES["ailing_replicas"]).named_results()]
    return StoreHealth(
        version=str(version),
        free_bytes=int(free),
        broken_parts=tuple(broken),
        damaged_reads=damaged,
        ailing_replicas=tuple(replicas),
    )


def _broken_part(row: dict[str, object]) -> BrokenPart:
    path = str(row["path"])
    return BrokenPart(
        table=str(row["table"]),
        partition=str(row["partition_id"]),
        name=str(row["name"]),
        reason=str(row["reason"]),
        bytes=int(str(row["bytes"])),
        rows=_row_count(Path(path) / "count.txt"),
        path=path,
    )


def _row_count(file: Path) -> int | None:
    """ClickHouse keeps the number in a file of the part; on a server's disk we cannot see it."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _damaged_reads(client: Client) -> str | None:
    rows = client.query(QUERIES["damaged_reads"]).result_rows
    return None if not rows else f"{rows[0][0]} times, last: {rows[0][1]}"
