"""Shared by all tests: one embedded engine for the whole run, one database for each test."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtrail_store import Store, open_store

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def engine_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine takes one folder per process, so every test shares it."""
    return tmp_path_factory.mktemp("engine")


@pytest.fixture
def store_dsn(engine_folder: Path) -> str:
    return f"chdb://{engine_folder}?database=test_{next(_numbers)}"


@pytest.fixture
def store(store_dsn: str) -> Iterator[Store]:
    with open_store(store_dsn) as store:
        store.migrate()
        yield store
