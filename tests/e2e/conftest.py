"""One real server for the tests of a whole road: the SDK sends to it, the client asks it."""

from collections.abc import Iterator

import pytest

import backtrail
from backtrail._recorder import current_recorder
from tests.serving import RunningServer, running_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def client(server: RunningServer) -> Iterator[backtrail.Client]:
    """A client, with this process recording to the same server."""
    backtrail.configure(endpoint=server.url, service_name="replay-tests")
    with backtrail.Client(server.url) as client:
        yield client
        current_recorder().flush(5)
