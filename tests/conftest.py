"""Shared by all tests: one embedded engine for the whole run, and a store that is empty when a test begins.

With BACKTRAIL_TEST_STORE=clickhouse://… the stores are databases of that server, made for the run and dropped after it.
"""

import itertools
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail_store import Store, open_store
from backtrail_store.migrations import schema_of
from tests.factories import START, batch_of, otlp_request
from tests.serving import RunningServer

TEST_STORE = os.environ.get("BACKTRAIL_TEST_STORE", "")
EMPTIED_TABLES = ("spans", "contents", "logs")

_numbers = itertools.count(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside a test that failed, what its servers said: it is gone when they end."""
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, RunningServer) and value.log.exists():
                report.sections.append((f"the last that {name} said", value.logged()[-4000:]))
    return report


@pytest.fixture(scope="session")
def engine_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine takes one folder per process, so every test shares it."""
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(scope="session")
def new_database(engine_folder: Path) -> Iterator[Callable[[str], str]]:
    """The address of a database with this name, where the tests have their stores."""
    if not TEST_STORE:
        yield lambda name: f"chdb://{engine_folder}?database={name}"
        return
    server = urlsplit(TEST_STORE)
    made: list[str] = []

    def dsn(name: str) -> str:
        made.append(server._replace(path=f"{server.path or '/test'}_{os.getpid()}_{name}").geturl())
        return made[-1]

    yield dsn
    for address in made:
        with open_store(address) as store, store._writers.borrow() as client:
            on_cluster = f" ON CLUSTER '{store._address.cluster}'" if store._address.cluster else ""
            client.command(f"DROP DATABASE IF EXISTS `{store._address.database}`{on_cluster} SYNC", use_database=False)


@pytest.fixture
def store_dsn(new_database: Callable[[str], str]) -> str:
    """A store nobody has used, for tests that change more than its rows."""
    return new_database(f"test_{next(_numbers)}")


@pytest.fixture
def embedded_dsn(engine_folder: Path) -> str:
    """For what only an engine in this process can do."""
    if TEST_STORE:
        pytest.skip("about the embedded engine, and BACKTRAIL_TEST_STORE is a server")
    return f"chdb://{engine_folder}?database=test_{next(_numbers)}"


@pytest.fixture(scope="session")
def migrated_store(new_database: Callable[[str], str]) -> Iterator[Store]:
    with open_store(new_database("shared")) as store:
        store.migrate()
        yield store


def empty(store: Store, *tables: str) -> None:
    """Wherever their rows are."""
    with store._writers.borrow() as client:
        for table in tables:
            for statement in schema_of(store._address).on_all_nodes(f"TRUNCATE TABLE {table}"):
                client.command(statement)


@pytest.fixture
def store(migrated_store: Store) -> Store:
    """An empty store. Emptying one takes 10 ms, making one a second."""
    empty(migrated_store, *EMPTIED_TABLES)
    if rules := migrated_store.prices.list():
        migrated_store.prices.remove(rules)
    return migrated_store


class Insert(Protocol):
    def __call__(self, *spans: Span, project: str = "default", received: int = START) -> None: ...


@pytest.fixture
def insert(store: Store) -> Insert:
    """Puts spans into the store as one request, the way the writer does."""

    def insert(*spans: Span, project: str = "default", received: int = START) -> None:
        store.insert(batch_of(otlp_request(*spans), project=project, received=received))

    return insert
