"""From a store's address to ClickHouse clients.

address → **client** → insert, reader, migrations
"""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clickhouse_connect.driver import create_client
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
    Error,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)

from backtrail_store.abandoned import may_be_abandoned
from backtrail_store.address import Address
from backtrail_store.errors import (
    StoreError,
    StoreInUse,
    StoreNotWritable,
    StoreUnavailable,
)

# ClickHouse's error codes for a store that is away, full, locked or overloaded: the data is not to blame.
_AWAY = frozenset(
    {60, 74, 75, 76, 81, 159, 160, 164, 192, 193, 194, 202, 209, 210, 225, 236, 241, 242, 243, 252, 279, 285}
    | {286, 319, 394, 425, 439, 473, 497, 516, 533, 999}
)


# What makes Distributed tables behave like tables: an insert returns when its rows are on their shards, and a subquery
# about traces asks the shard it runs on, which has all of each of its traces.
_CLUSTER_SETTINGS = {
    "distributed_foreground_insert": 1,
    "distributed_product_mode": "local",
    "optimize_skip_unused_shards": 1,
}


def connect(address: Address) -> Client:
    """One client, not to be shared between threads. A server's database need not exist yet: migrate makes it."""
    if address.folder is None:
        client = _connect_server(address)
    else:
        client = _connect_embedded(address.folder)
        with _translated(address):
            client.command(f"CREATE DATABASE IF NOT EXISTS `{address.database}`", use_database=False)
    client.database = address.database
    return client


def _connect_embedded(folder: Path) -> Client:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink(missing_ok=True)  # every thread that connects tries this
    except OSError as exc:
        raise StoreNotWritable(f"The folder {folder} cannot be written: {exc.strerror}.") from exc
    try:
        client = create_client(interface="chdb", path=str(folder))
    except (ProgrammingError, DatabaseError, RuntimeError) as exc:
        raise StoreInUse(f"The folder {folder} does not open; another process may own it: {_shortened(exc)}") from exc
    may_be_abandoned(client)
    return client


def _connect_server(address: Address) -> Client:
    where = f"{address.host}:{address.port}"
    try:
        return create_client(
            host=address.host,
            port=address.port,
            username=address.username,
            password=address.password,
            secure=address.secure,
            verify=address.verify,
            ca_cert=address.ca_cert,
            connect_timeout=address.connect_timeout,
            send_receive_timeout=address.read_timeout,
            compress="lz4" if address.is_compressed else False,
            autogenerate_session_id=False,
            settings=_server_settings(address),
        )
    except Error as exc:
        verb = "does not answer" if isinstance(exc, OperationalError) else "answers"
        raise StoreUnavailable(f"ClickHouse at {where} {verb}: {_why(exc, address)}") from exc


def _server_settings(address: Address) -> dict[str, object]:
    # Without the wait a server says 200 when it begins, and an error that comes later stands where nobody looks.
    settings: dict[str, object] = {"wait_end_of_query": 1}
    if address.cluster:
        # A statement for all nodes is answered before we stop listening, even if some node does not follow it.
        settings |= _CLUSTER_SETTINGS | {"distributed_ddl_task_timeout": max(address.read_timeout - 5, 1)}
    return settings


def _why(error: Error, address: Address) -> str:
    """By the system's own words where it was the connection: three libraries wrap them."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return (isinstance(cause, OSError) and cause.strerror) or _first_line(error, address)


class ClientPool:
    """Clients to the same store, one borrower at a time each: an embedded client serves one query at a time."""

    def __init__(self, address: Address, *, size: int) -> None:
        self._clients: queue.LifoQueue[Client | None] = queue.LifoQueue()
        for _ in range(size):
            self._clients.put(None)
        self._size = size
        self._is_closed = False
        self.address = address
        self.is_embedded = address.folder is not None

    @contextmanager
    def borrow(self) -> Iterator[Client]:
        """A client, waiting for one if all are out. What ClickHouse raises leaves as a StoreError, its cause inside."""
        if self._is_closed:
            raise StoreUnavailable("The store has been closed.")
        client = self._clients.get()
        try:
            if client is None:
                client = connect(self.address)
            with _translated(self.address):
                yield client
        finally:
            self._clients.put(client)

    def close(self) -> None:
        """Waits for the borrowers; afterwards nothing is lent."""
        self._is_closed = True
        for _ in range(self._size):
            client = self._clients.get()
            if client is not None:
                client.close()


@contextmanager
def _translated(address: Address) -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as exc:
        raise StoreUnavailable(_first_line(exc, address)) from exc
    except DatabaseError as exc:
        raise (StoreUnavailable if exc.code in _AWAY else StoreError)(_first_line(exc, address)) from exc
    except Error as exc:
        raise StoreError(_first_line(exc, address)) from exc


def _first_line(exc: BaseException, address: Address) -> str:
    """ClickHouse quotes statements, and the one that makes the dictionary holds the password."""
    return _shortened(exc).replace(address.password, "***") if address.password else _shortened(exc)


def _shortened(exc: BaseException) -> str:
    return str(exc).split("\n", 1)[0][:500]
