"""Whole traces are removed from the store, so that no file holds them any more.

    DELETE /api/v1/runs/{run_id} → **erasure** → erased, spans, contents, logs

First a trace's id goes into `erased`, which the views ask: from then on nothing of it is stored. Then the partitions
that hold it are rewritten, and the files they had are removed. The ids stay for good; they say nothing of anybody.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from clickhouse_connect.driver.client import Client
from pydantic_core import to_json

from backtrail_store.client import ClientPool
from backtrail_store.errors import NoRoom, StoreError
from backtrail_store.partitions import TABLES
from backtrail_store.questions import QUERIES, READ_SETTINGS, ask

PAUSE_SECONDS = 0.05
CLEANUP_SECONDS = 60
IDS_PER_QUERY = 1000
ROOM_LEFT = 64 << 20  # what rewriting must not take of the disk

_NOT_ENOUGH_SPACE = "Code: 243"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was removed."""

    spans: int
    contents: int
    log_records: int


def bury(clients: ClientPool, project: str, trace_ids: Iterable[str]) -> None:
    """When this returns, no insert that begins later stores anything of these traces."""
    rows = b"\n".join(to_json({"project": project, "trace_id": trace_id}) for trace_id in trace_ids)
    with clients.borrow() as client:
        if rows:
            client.raw_insert("erased", insert_block=rows, fmt="JSONEachRow")
        client.command("SYSTEM RELOAD DICTIONARY erased_traces")


def is_known(clients: ClientPool, project: str, trace_id: str) -> bool:
    """Whether there is anything to erase, or was once."""
    return bool(ask(clients, "is_trace_known", project=project, trace_id=trace_id).result_rows[0][0])


def find_traces_of_user(clients: ClientPool, project: str, user_id: str) -> list[str]:
    """Every trace of which any span or log record names this user."""
    rows = ask(clients, "find_traces_of_user", project=project, user_id=user_id).result_rows
    return [trace_id for (trace_id,) in rows]


def find_replays(clients: ClientPool, project: str, trace_ids: Iterable[str]) -> list[str]:
    """Runs that replayed one of these: they hold what it recorded, and are runs of their own."""
    found: set[str] = set()
    for ids in _chunks(trace_ids):
        found |= {trace_id for (trace_id,) in ask(clients, "find_replays", project=project, trace_ids=ids).result_rows}
    return sorted(found)


def erase_buried(clients: ClientPool, project: str) -> Erased:
    """Removes what is stored of the project's buried traces, and returns when it is in no file any more.

    Raises NoRoom before anything is rewritten if the disk could not take it.
    """
    with clients.borrow() as client:
        counts = client.query(QUERIES["count_erased"], parameters={"project": project}, settings=READ_SETTINGS)
        erased = Erased(**next(iter(counts.named_results())))
        partitions = client.query(QUERIES["erased_partitions"], parameters={"project": project}).result_rows
        _require_room(client, partitions)
        for table in TABLES:
            _rewrite(client, table, [id_ for name, id_, _ in partitions if name == table], project)
        _wait_until_rewritten(client)
        _remove_old_files(client)
    return erased


def _require_room(client: Client, partitions: Sequence[Sequence[object]]) -> None:
    needed = sum(int(str(bytes_)) for _, _, bytes_ in partitions)
    [(free,)] = client.query("SELECT min(free_space) FROM system.disks").result_rows
    if partitions and free < needed + ROOM_LEFT:
        raise NoRoom(
            f"erasing rewrites {needed} bytes, and the store's disk has {free} left of which {ROOM_LEFT} stay free; "
            "make room and erase again"
        )


def _rewrite(client: Client, table: str, partition_ids: Sequence[str], project: str) -> None:
    if not partition_ids:
        return
    where = "project = {project:String} AND trace_id IN (SELECT trace_id FROM {database:Identifier}.erased"
    commands = (
        f"DELETE IN PARTITION ID '{partition_id}' WHERE {where} WHERE project = {{project:String}})"
        for partition_id in partition_ids
    )
    parameters = {"project": project, "database": client.database}
    client.command(f"ALTER TABLE {table} {', '.join(commands)}", parameters=parameters)


def _wait_until_rewritten(client: Client) -> None:
    while waiting := client.query(QUERIES["mutations"], parameters={"tables": list(TABLES)}).result_rows:
        for table, mutation_id, reason in waiting:
            if reason:  # the engine would try for ever
                parameters = {"table": table, "mutation_id": mutation_id}
                client.command(_KILL, parameters=parameters)
                raise (NoRoom if _NOT_ENOUGH_SPACE in reason else StoreError)(
                    f"{table} could not be rewritten, and nothing of it was: {reason[:500]}"
                )
        time.sleep(PAUSE_SECONDS)


_KILL = (
    "KILL MUTATION WHERE database = currentDatabase() AND table = {table:String} AND mutation_id = {mutation_id:String}"
)


def _remove_old_files(client: Client) -> None:
    """The engine looks for files it no longer needs every half minute, and at once when its cleanup is started."""
    deadline = time.monotonic() + CLEANUP_SECONDS
    while client.query(QUERIES["replaced_parts"], parameters={"tables": list(TABLES)}).result_rows[0][0]:
        if time.monotonic() > deadline:
            raise StoreError("what was rewritten still has its old files, which somebody may be reading; erase again")
        for table in TABLES:
            client.command(f"SYSTEM STOP CLEANUP {table}")
            client.command(f"SYSTEM START CLEANUP {table}")
        time.sleep(4 * PAUSE_SECONDS)


def _chunks(trace_ids: Iterable[str]) -> Iterator[list[str]]:
    waiting = iter(trace_ids)
    while chunk := list(islice(waiting, IDS_PER_QUERY)):
        yield chunk
