"""The parts of the way in, as its own tests have them."""

from tests.ingest.conftest import inbox_folder, ledger

__all__ = ["inbox_folder", "ledger"]
