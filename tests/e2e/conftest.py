"""One real server for the tests of a whole road: the SDK sends to it, the client asks it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import backtrail
from tests.e2e.replaying import Log
from tests.serving import RunningServer, running_server


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    with tempfile.TemporaryDirectory() as data, running_server(Path(data)) as server:
        yield server


@pytest.fixture
def client(server: RunningServer) -> Iterator[backtrail.Client]:
    """A client, with this process recording to the same server, and to none when the test is over."""
    backtrail.configure(endpoint=server.url, service_name="replay-tests")
    with backtrail.Client(server.url) as client:
        yield client
    backtrail.shutdown()


@pytest.fixture
def log() -> Log:
    return Log()
