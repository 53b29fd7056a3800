"""Columns of stored spans are made anew when the rules have changed: an hour of a project at a time.

    spans, contents → stored_spans.sql → the query of spans_view → **renormalisation** → spans

The new rows have the keys and versions of those they replace, and of equal versions the one stored last counts. Which
hours are done under which rules is remembered, so that whoever asks again goes on where it was left; what was received
under the present ones needs nothing. When a week is done, its files are merged, and hold each span once.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from clickhouse_connect.driver.client import Client

from backtrail_store.client import ClientPool
from backtrail_store.errors import NoRoom
from backtrail_store.migrations import CONVENTIONS, digest_of_conventions, schema_of, view_query
from backtrail_store.questions import QUERIES, READ_SETTINGS

ROOM_LEFT = 64 << 20  # what rewriting must not take of the disk
_SETTINGS: dict[str, object] = READ_SETTINGS | {
    "insert_deduplicate": 0,  # the same rows are written again when rules change back
    "max_partitions_per_insert_block": 0,
}
_COLUMNS = (
    "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'spans' AND default_kind = ''"
)
_PARTITION = (
    "SELECT DISTINCT _partition_id FROM spans WHERE project = {project:String} "
    "AND start_time >= {hour:DateTime('UTC')} AND start_time < {hour:DateTime('UTC')} + INTERVAL 1 HOUR"
)
_BYTES = (
    "SELECT sum(bytes_on_disk) FROM system.parts "
    "WHERE active AND database = currentDatabase() AND table = {table:String} AND partition_id = {partition_id:String}"
)
_DONE = (
    "INSERT INTO renormalised (rules, project, hour) VALUES ({rules:String}, {project:String}, {hour:DateTime('UTC')})"
)


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of a project; `is_done` where its columns are those that the present rules make."""

    project: str
    hour: datetime
    spans: int
    is_done: bool


def list_hours(clients: ClientPool, *, since: datetime) -> list[Hour]:
    """All that have spans from `since` on, newest first."""
    with clients.borrow() as client:
        return _hours(client, since=int(since.timestamp()) * 10**9)


def renormalise(clients: ClientPool, project: str, hour: datetime) -> None:
    """Nothing, where no span began in that hour. Raises NoRoom before anything is written if the disk could not take
    it."""
    with clients.borrow() as client:
        of_hour = {"project": project, "hour": hour}
        found = client.query(_PARTITION, parameters=of_hour).result_rows
        if not found:
            return
        [(partition_id,)] = found
        _require_room(clients, client, project, hour, partition_id)
        columns = ", ".join(f"`{name}`" for (name,) in client.query(_COLUMNS).result_rows)
        source = QUERIES["stored_spans"]
        query = view_query("spans_view").replace("FROM span_in", f"FROM ({source})")
        client.command(
            f"INSERT INTO spans ({columns}) SELECT {columns} FROM ({query})", parameters=of_hour, settings=_SETTINGS
        )
        client.command(_DONE, parameters=of_hour | {"rules": digest_of_conventions()})
        if all(other.is_done for other in _hours(client, partition_id=partition_id)):
            for statement in schema_of(clients.address).on_all_nodes(
                "OPTIMIZE TABLE spans PARTITION ID {partition_id:String} FINAL"
            ):
                client.command(statement, parameters={"partition_id": partition_id})


def _hours(client: Client, *, since: int = 0, partition_id: str = "") -> list[Hour]:
    parameters = {
        "rules": digest_of_conventions(),
        "conventions": list(CONVENTIONS),
        "since": since,
        "partition_id": partition_id,
    }
    rows = client.query(QUERIES["renormalised_hours"], parameters=parameters, settings=READ_SETTINGS).result_rows
    return [Hour(project, hour.replace(tzinfo=UTC), *rest) for project, hour, *rest in rows]


def _require_room(clients: ClientPool, client: Client, project: str, hour: datetime, partition_id: str) -> None:
    """A week that is merged stands twice for a moment."""
    parameters = {"table": schema_of(clients.address).stored("spans"), "partition_id": partition_id}
    [(needed,)] = client.query(_BYTES, parameters=parameters).result_rows
    [(free,)] = client.query("SELECT min(free_space) FROM system.disks").result_rows
    if free < 2 * needed + ROOM_LEFT:
        raise NoRoom(
            f"to make the week of {hour:%Y-%m-%d} of {project} anew takes up to {2 * needed} bytes, and the "
            f"store's disk has {free} left of which {ROOM_LEFT} stay free; make room and go on"
        )
