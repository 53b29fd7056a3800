"""One server and one provider for all programs; each program runs once, when the first of its tests asks for it."""

import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.instrumentations.running import Performed, perform
from tests.providers import Provider, running_provider
from tests.serving import RunningServer, running_server


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    with tempfile.TemporaryDirectory() as data, running_server(Path(data)) as server:
        yield server


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def performed(server: RunningServer, provider: Provider) -> Callable[[str], Performed]:
    @cache
    def once(program: str) -> Performed:
        return perform(program, server, provider)

    return once
