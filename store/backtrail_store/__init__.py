"""The data: the only place that knows ClickHouse and SQL.

Tables: `otlp_in`, `span_in`, `otlp_logs_in` and `log_in` (doors that keep nothing), `spans` and `logs` (one row a span
or log record, light columns), `contents` (payload texts), `model_prices` with the dictionary `prices`, `price_rules`,
`projects`, `api_keys`, `schema_migrations`.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from backtrail_store.abandoned import abandon_engine
from backtrail_store.address import Address, is_embedded, parse_address, without_password
from backtrail_store.client import ClientPool
from backtrail_store.erasure import Erased, bury, erase_buried, find_replays, find_traces_of_user, is_known
from backtrail_store.errors import (
    BatchRefused,
    NoRoom,
    NotEmbedded,
    StoreError,
    StoreInUse,
    StoreNotWritable,
    StoreUnavailable,
    UnknownStoreScheme,
)
from backtrail_store.frozen import StoreFile, frozen_files, remove_frozen
from backtrail_store.health import AilingReplica, BrokenPart, StoreHealth, read_health
from backtrail_store.insert import Batch, insert
from backtrail_store.keys import SCOPES, ApiKey, KeyTable, Scope
from backtrail_store.log_reader import LogReader
from backtrail_store.log_rows import LogFilter, LogRow
from backtrail_store.migrations import check_schema, migrate, print_schema, schema_files
from backtrail_store.partitions import Partition, drop_project
from backtrail_store.prices.in_use import CurrentPrice, ModelRow
from backtrail_store.prices.rates import Period, Prices, PriceSource, Rate
from backtrail_store.prices.rules import PriceRule, Tier
from backtrail_store.prices.table import PriceTable
from backtrail_store.projects import DEFAULT_PROJECT, Project, ProjectTable
from backtrail_store.reader import TraceReader
from backtrail_store.renormalisation import Hour, list_hours, renormalise
from backtrail_store.retention import Keeping, drop_expired, drop_oldest_week
from backtrail_store.rows import EventRow, LinkRow, RunFilter, RunRow, SpanRow
from backtrail_store.run_rows import SILENCE_SECONDS

__all__ = [
    "DEFAULT_PROJECT",
    "SCOPES",
    "AilingReplica",
    "ApiKey",
    "Batch",
    "BatchRefused",
    "BrokenPart",
    "CurrentPrice",
    "Erased",
    "EventRow",
    "Hour",
    "Keeping",
    "LinkRow",
    "LogFilter",
    "LogReader",
    "LogRow",
    "ModelRow",
    "NoRoom",
    "NotEmbedded",
    "Partition",
    "Period",
    "PriceRule",
    "PriceSource",
    "PriceTable",
    "Prices",
    "Project",
    "Rate",
    "RunFilter",
    "RunRow",
    "Scope",
    "SpanRow",
    "Store",
    "StoreError",
    "StoreFile",
    "StoreHealth",
    "StoreInUse",
    "StoreNotWritable",
    "StoreUnavailable",
    "Tier",
    "TraceReader",
    "UnknownStoreScheme",
    "abandon_engine",
    "is_embedded",
    "open_store",
    "parse_address",
    "print_schema",
    "schema_files",
    "without_password",
]

_READERS = 4


class Store:
    """One open store. Made by open_store; safe to use from several threads."""

    def __init__(self, address: Address, *, silence_seconds: int = SILENCE_SECONDS) -> None:
        self._address = address
        self._writers = ClientPool(address, size=1)
        self._readers = ClientPool(address, size=_READERS)
        self._prober = ClientPool(address, size=1)
        self.reader = TraceReader(self._readers, silence_seconds=silence_seconds)
        self.log_reader = LogReader(self._readers)
        self.projects = ProjectTable(self._readers)  # which do not wait for the insert of a large batch
        self.keys = KeyTable(self._readers)
        self.prices = PriceTable(self._readers)
        self.insert_count = 0  # to know whether there may be anything new

    @property
    def is_shared(self) -> bool:
        """Whether other processes may write to it: an embedded store is its process's own."""
        return self._address.folder is None

    def migrate(self) -> list[str]:
        """Brings the schema and the prices up to date; returns the names of the files applied now."""
        if self._address.folder is not None:
            remove_frozen(self._address.folder)
        with self._writers.borrow() as client:
            applied = migrate(client, self._address)
        self.prices.seed()
        return applied

    @contextmanager
    def frozen(self) -> Iterator[list[StoreFile]]:
        """The files of this moment, for as long as this is not left; see frozen.py. Raises NotEmbedded."""
        if self._address.folder is None:
            raise NotEmbedded(
                "the spans are in a ClickHouse server, whose own tool backs them up: "
                f"BACKUP DATABASE {self._address.database} TO Disk(…), from a client of it"
            )
        with frozen_files(self._writers, self._address.folder) as files:
            yield files

    def check_schema(self) -> None:
        """Raises StoreError if the schema is not up to date, changing nothing."""
        with self._readers.borrow() as client:
            check_schema(client, self._address)

    def insert(self, batch: Batch) -> None:
        """Returns when the batch is on disk and readable. Raises BatchRefused, or another StoreError for the moment."""
        insert(self._writers, batch)
        self.insert_count += 1

    def list_hours(self, *, since: datetime) -> list[Hour]:
        """In which spans began, and whether their columns are what the present rules make of them."""
        return list_hours(self._readers, since=since)

    def renormalise(self, project: str, hour: datetime) -> None:
        """Makes the columns of an hour's spans anew from their attributes; see renormalisation.py. Raises NoRoom."""
        renormalise(self._readers, project, hour)

    def drop_expired(self, keeping: Callable[[str], Keeping], now: datetime) -> list[Partition]:
        """Drops the weeks that each project no longer keeps; see retention.py."""
        return drop_expired(self._writers, keeping, now)

    def drop_oldest_week(self, now: datetime) -> list[Partition]:
        """Drops the oldest week there is, for when the disk is short."""
        return drop_oldest_week(self._writers, now)

    def drop_project(self, project: str) -> None:
        """Everything that is stored of it, as whole partitions. What waits to be stored is not here yet."""
        drop_project(self._readers, project)
        self.prices.drop_project(project)

    def bury(self, project: str, trace_ids: Iterable[str]) -> None:
        """From here on nothing of these traces is stored; see erasure.py. Raises NotEmbedded for a cluster."""
        if self._address.cluster:
            raise NotEmbedded(
                "a cluster is not erased from here, because nobody could say when the last replica is done: on it, say "
                "ALTER TABLE spans_local ON CLUSTER … DELETE WHERE …, and the same of contents_local and logs_local"
            )
        bury(self._readers, project, trace_ids)

    def erase_buried(self, project: str) -> Erased:
        """Returns when nothing of the project's buried traces is in any file. Raises NoRoom."""
        return erase_buried(self._readers, project)

    def is_known(self, project: str, trace_id: str) -> bool:
        """Whether anything of it is stored, or was erased."""
        return is_known(self._readers, project, trace_id)

    def find_traces_of_user(self, project: str, user_id: str) -> list[str]:
        return find_traces_of_user(self._readers, project, user_id)

    def find_replays(self, project: str, trace_ids: Iterable[str]) -> list[str]:
        """Runs that replayed one of these."""
        return find_replays(self._readers, project, trace_ids)

    def ping(self) -> None:
        """Raises StoreUnavailable if the store does not answer."""
        with self._readers.borrow() as client:
            client.command("SELECT 1", use_database=False)

    def health(self) -> StoreHealth:
        """Whether it is whole and has room, asked beside everybody else's questions. Raises StoreUnavailable."""
        return read_health(self._prober)

    def close(self) -> None:
        self._prober.close()
        self._writers.close()
        self._readers.close()


@contextmanager
def open_store(dsn: str, *, cluster: str = "", silence_seconds: int = SILENCE_SECONDS) -> Iterator[Store]:
    """Opens `chdb:///folder` or `clickhouse://user:password@host:8123/database`; closed on leaving.

    With the name of a `cluster`, as the server knows it, the schema is made on all of its nodes.
    A run without an end of which nothing is received for `silence_seconds` is incomplete.
    Raises UnknownStoreScheme, StoreInUse, StoreNotWritable or StoreUnavailable.
    """
    store = Store(parse_address(dsn, cluster=cluster), silence_seconds=silence_seconds)
    try:
        store.ping()
        yield store
    finally:
        store.close()
