"""From a store's address to ClickHouse clients.

    settings → **client** → insert, reader, migrations

`chdb:///folder` is an embedded ClickHouse in this process, `clickhouse://user:password@host:8123/database` a
server; `clickhouses://` the same over TLS. `?database=` names the database of an embedded store.
"""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

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
from backtrail_store.errors import (
    StoreError,
    StoreInUse,
    StoreNotWritable,
    StoreUnavailable,
    UnknownStoreScheme,
)

DEFAULT_DATABASE = "backtrail"

# ClickHouse's error codes for a store that is away, full, locked or overloaded: the data is not to blame.
_AWAY = frozenset(
    {60, 74, 75, 76, 81, 159, 160, 164, 192, 193, 194, 202, 209, 210, 225, 236, 241, 242, 243, 252, 279, 285}
    | {286, 319, 394, 425, 439, 473, 497, 516, 533, 999}
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is: `folder` for an embedded one, else a server's connection."""

    database: str
    folder: Path | None = None
    host: str = ""
    port: int = 0
    username: str = "default"
    password: str = ""
    secure: bool = False


def parse_address(dsn: str) -> Address:
    """Raises UnknownStoreScheme, saying what was seen."""
    parts = urlsplit(dsn)
    asked = parse_qs(parts.query).get("database", [])
    if parts.scheme == "chdb":
        folder = unquote(parts.netloc + parts.path)
        if not folder:
            raise UnknownStoreScheme(f"{dsn!r} names no folder; write chdb:///path/to/folder.")
        return Address(database=asked[0] if asked else DEFAULT_DATABASE, folder=Path(folder))
    if parts.scheme in ("clickhouse", "clickhouses"):
        try:
            port = parts.port
        except ValueError as exc:
            raise UnknownStoreScheme(f"The store's address has no port that could be one: {exc}.") from exc
        secure = parts.scheme == "clickhouses"
        return Address(
            database=parts.path.strip("/") or DEFAULT_DATABASE,
            host=parts.hostname or "127.0.0.1",
            port=port or (8443 if secure else 8123),
            username=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            secure=secure,
        )
    raise UnknownStoreScheme(
        f"{dsn!r} is no store we know; write chdb:///path/to/folder or clickhouse://user:password@host:8123/database."
    )


def connect(address: Address) -> Client:
    """One client, its database made if it was missing. Not to be shared between threads."""
    client = _connect_server(address) if address.folder is None else _connect_embedded(address.folder)
    with _translated():
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
        raise StoreInUse(f"The folder {folder} does not open; another process may own it: {_first_line(exc)}") from exc
    may_be_abandoned(client)
    return client


def _connect_server(address: Address) -> Client:
    try:
        return create_client(
            host=address.host,
            port=address.port,
            username=address.username,
            password=address.password,
            secure=address.secure,
            autogenerate_session_id=False,
        )
    except Error as exc:
        where = f"{address.host}:{address.port}"
        raise StoreUnavailable(f"ClickHouse at {where} does not answer: {_why(exc)}") from exc


def _why(error: Error) -> str:
    """By the system's own words where it was the connection: three libraries wrap them."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return (isinstance(cause, OSError) and cause.strerror) or _first_line(error)


class ClientPool:
    """Clients to the same store, one borrower at a time each: an embedded client serves one query at a time."""

    def __init__(self, address: Address, *, size: int) -> None:
        self._clients: queue.LifoQueue[Client | None] = queue.LifoQueue()
        for _ in range(size):
            self._clients.put(None)
        self._size = size
        self._is_closed = False
        self._address = address
        self.is_embedded = address.folder is not None

    @contextmanager
    def borrow(self) -> Iterator[Client]:
        """A client, waiting for one if all are out. What ClickHouse raises leaves as a StoreError, its cause inside."""
        if self._is_closed:
            raise StoreUnavailable("The store has been closed.")
        client = self._clients.get()
        try:
            if client is None:
                client = connect(self._address)
            with _translated():
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
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as exc:
        raise StoreUnavailable(_first_line(exc)) from exc
    except DatabaseError as exc:
        raise (StoreUnavailable if exc.code in _AWAY else StoreError)(_first_line(exc)) from exc


def _first_line(exc: BaseException) -> str:
    return str(exc).split("\n", 1)[0][:500]
