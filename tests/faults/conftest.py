"""The parts of the way in, as its own tests have them, and a disk that fails when it is told to."""

from pathlib import Path

import pytest

from tests.faults.faulty import compile_disk
from tests.ingest.conftest import inbox_folder, ledger

__all__ = ["inbox_folder", "ledger"]


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = compile_disk(tmp_path_factory.mktemp("disk"))
    if library is None:
        pytest.skip("there is no C compiler to make the failing disk with")
    return library
