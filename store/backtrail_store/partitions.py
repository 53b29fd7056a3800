"""The files that rows lie in: a project's weeks, table by table, and what is done to them as a whole.

spans, logs, contents → system.parts → **partitions** → retention, erasure
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from clickhouse_connect.driver.client import Client

from backtrail_store.address import Address
from backtrail_store.client import ClientPool
from backtrail_store.migrations import schema_of
from backtrail_store.questions import QUERIES

TABLES = ("spans", "logs", "contents")


@dataclass(frozen=True, slots=True)
class Partition:
    """One project's rows of one table that began in the seven days from `week`, a Monday."""

    table: str
    id: str
    project: str
    week: date
    bytes: int


def list_partitions(clients: ClientPool) -> list[Partition]:
    """Oldest week first."""
    schema = schema_of(clients.address)
    tables = {schema.stored(table): table for table in TABLES}
    with clients.borrow() as client:
        query = schema.everywhere(QUERIES["list_partitions"])
        rows = client.query(query, parameters={"tables": list(tables)}).result_rows
    return [Partition(tables[stored], *rest) for stored, *rest in rows]


def first_received(clients: ClientPool, partition: Partition) -> datetime:
    with clients.borrow() as client:
        return _received(client, partition)[0]


def drop_received_before(writers: ClientPool, partition: Partition, moment: datetime) -> bool:
    """Drops it if even its last row came in before. `writers` lends the one client that inserts, so that no row comes
    in between the question and the dropping."""
    with writers.borrow() as client:
        _, last = _received(client, partition)
        if last >= moment:
            return False
        _drop(client, writers.address, partition)
        return True


def _received(client: Client, partition: Partition) -> tuple[datetime, datetime]:
    """When the first and the last of its rows came in."""
    parameters = {"table": partition.table, "partition_id": partition.id}
    [(first, last)] = client.query(QUERIES["received_bounds"], parameters=parameters).result_rows
    return first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)


def _drop(client: Client, address: Address, partition: Partition) -> None:
    """Gone from the disk within seconds. Needs a megabyte of free space, and no more however large it is."""
    statement = f"ALTER TABLE {partition.table} DROP PARTITION ID {{partition_id:String}}"
    for part in schema_of(address).on_all_nodes(statement):
        client.command(part, parameters={"partition_id": partition.id})


def drop_project(clients: ClientPool, project: str) -> None:
    for partition in list_partitions(clients):
        if partition.project == project:
            with clients.borrow() as client:
                _drop(client, clients.address, partition)


def delete_received_before(clients: ClientPool, partition: Partition, moment: datetime) -> None:
    """Rewrites the partition in the background."""
    with clients.borrow() as client:
        for statement in schema_of(clients.address).on_all_nodes(
            f"ALTER TABLE {partition.table} DELETE IN PARTITION ID {{partition_id:String}}"
            " WHERE received_time < fromUnixTimestamp64Nano({moment:Int64})"
        ):
            parameters = {"partition_id": partition.id, "moment": int(moment.timestamp()) * 10**9}
            client.command(statement, parameters=parameters)
