"""The parts of the way in, as its own tests have them, and a disk that fails when it is told to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.faulty import Lives, compile_disk, lives_on
from tests.ingest.conftest import inbox_folder, ledger

__all__ = ["inbox_folder", "ledger"]


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = compile_disk(tmp_path_factory.mktemp("disk"))
    if library is None:
        pytest.skip("there is no C compiler to make the failing disk with")
    return library


@pytest.fixture(scope="session")
def lives(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    with lives_on(disk, tmp_path_factory.mktemp("lives")) as lives:
        yield lives
