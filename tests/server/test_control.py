"""Commands reach the process that owns the data folder, through a socket that only its owner may open."""

import asyncio
import os
import stat
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from backtrail_ingest import Ledger, open_inbox
from tests.factories import otlp_request, plain_span, run_span
from tests.ingest.conftest import envelope_of
from tests.server.test_cli import run
from tests.serving import running_server


def quarantine_a_request(data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    with open_inbox(data / "inbox.sqlite", max_bytes=1 << 20, ledger=Ledger(CollectorRegistry())) as inbox:
        asyncio.run(inbox.append(envelope_of(plain_span(), project="shop")))
        inbox.quarantine(inbox.take(1).result(5)[0], "the engine did not like it")


SHOWN = "1: project shop, 1 spans: the engine did not like it\n"


def test_a_command_is_answered_by_the_server_that_owns_the_folder(tmp_path: Path) -> None:
    quarantine_a_request(tmp_path)

    with running_server(tmp_path):
        assert run("quarantine", "list", "--data", str(tmp_path)) == SHOWN


def test_without_a_server_the_command_opens_the_folder_itself(tmp_path: Path) -> None:
    assert run("quarantine", "list", "--data", str(tmp_path)) == "nothing is in quarantine\n"
    quarantine_a_request(tmp_path)
    assert run("quarantine", "list", "--data", str(tmp_path)) == SHOWN


def test_the_socket_is_its_owners_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with running_server(tmp_path) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        server.kill()
    assert path.is_socket()
    with running_server(tmp_path):
        assert run("quarantine", "list", "--data", str(tmp_path)) == "nothing is in quarantine\n"
    assert not path.exists()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="a socket's name is short everywhere but on Linux")
def test_a_folder_may_lie_deeper_than_the_name_of_a_socket_may_be_long(tmp_path: Path) -> None:
    data = tmp_path / ("deep" * 20) / ("deeper" * 20)
    with running_server(data):
        assert len(os.fspath(data)) > 108
        assert run("quarantine", "list", "--data", str(data)) == "nothing is in quarantine\n"


def test_the_folder_and_all_in_it_is_its_owners_alone(tmp_path: Path) -> None:
    """What anybody sent is in there, and the lock, which whoever can open it could take."""
    made, found = tmp_path / "made", tmp_path / "found"
    found.mkdir(mode=0o755)
    for data in (made, found):
        with running_server(data) as server:
            body = otlp_request(run_span()).SerializeToString()
            headers = {"content-type": "application/x-protobuf"}
            httpx.post(f"{server.url}/v1/traces", content=body, headers=headers).raise_for_status()
            files = [path for path in data.rglob("*") if not path.is_symlink()]
            assert not [path for path in files if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert stat.S_IMODE(found.stat().st_mode) == 0o755
