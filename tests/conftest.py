"""Shared by all tests: one embedded engine for the whole run, and a store that is empty when a test begins."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail_store import Store, open_store
from tests.factories import START, batch_of, otlp_request

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def engine_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine takes one folder per process, so every test shares it."""
    return tmp_path_factory.mktemp("engine")


@pytest.fixture
def store_dsn(engine_folder: Path) -> str:
    """A store nobody has used, for tests that change more than its rows."""
    return f"chdb://{engine_folder}?database=test_{next(_numbers)}"


@pytest.fixture(scope="session")
def migrated_store(engine_folder: Path) -> Iterator[Store]:
    with open_store(f"chdb://{engine_folder}?database=shared") as store:
        store.migrate()
        yield store


@pytest.fixture
def store(migrated_store: Store) -> Store:
    """An empty store. Emptying one takes 10 ms, making one a second."""
    with migrated_store._writers.borrow() as client:
        client.command("TRUNCATE TABLE spans")
        client.command("TRUNCATE TABLE contents")
        client.command("TRUNCATE TABLE logs")
        if client.command("SELECT count() FROM model_prices WHERE source = 'user'") != 0:
            client.command("ALTER TABLE model_prices DELETE WHERE source = 'user'", settings={"mutations_sync": 1})
            client.command("SYSTEM RELOAD DICTIONARY prices")
    return migrated_store


class Insert(Protocol):
    def __call__(self, *spans: Span, project: str = "default", received: int = START) -> None: ...


@pytest.fixture
def insert(store: Store) -> Insert:
    """Puts spans into the store as one request, the way the writer does."""

    def insert(*spans: Span, project: str = "default", received: int = START) -> None:
        store.insert(batch_of(otlp_request(*spans), project=project, received=received))

    return insert
