"""The process: how it starts, what it says when it cannot, and how it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.factories import TRACE_ID, otlp_request, plain_span
from tests.serving import running_server, serve_command

PROTOBUF = {"content-type": "application/x-protobuf"}


def run_and_fail(command: list[str], env: dict[str, str] | None = None) -> str:
    """What the command says on stderr; it has to be one line, and the exit code 2."""
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("backtrail-server: ")
    return lines[0]


def test_the_ready_line_names_addresses_and_folder(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        assert re.fullmatch(
            r"Backtrail serves http://127\.0\.0\.1:\d+ \(OTLP/HTTP; API under /api/v1\) and "
            r"grpc://127\.0\.0\.1:\d+ \(OTLP\), without keys: open to every user of this computer; data in .+/data",
            server.ready_line,
        )
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert httpx.get(f"{server.url}/readyz").status_code == 200


def test_nothing_is_written_outside_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary, working = tmp_path / "system-tmp", tmp_path / "working"
    temporary.mkdir()
    working.mkdir()
    monkeypatch.chdir(working)
    environment = os.environ | {"TMPDIR": str(temporary)}
    with running_server(tmp_path / "data", env=environment) as server:
        body = otlp_request(plain_span()).SerializeToString()
        httpx.post(f"{server.url}/v1/traces", content=body, headers=PROTOBUF)
        while not httpx.get(f"{server.url}/api/v1/traces/{TRACE_ID.hex()}").is_success:
            time.sleep(0.02)
        assert list(temporary.iterdir()) == []
        assert list(working.iterdir()) == []


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_and_what_was_acknowledged_is_there_next_time(
    tmp_path: Path, sign: signal.Signals
) -> None:
    with running_server(tmp_path / "data") as server:
        body = otlp_request(plain_span("kept")).SerializeToString()
        httpx.post(f"{server.url}/v1/traces", content=body, headers=PROTOBUF)
        began = time.monotonic()
        server.process.send_signal(sign)
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 10

    with running_server(tmp_path / "data") as server:
        answer = httpx.get(f"{server.url}/api/v1/traces/{TRACE_ID.hex()}")
        assert [span["name"] for span in answer.json()["spans"]] == ["kept"]


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        for command in (serve_command(tmp_path / "data"), migrate_command(tmp_path / "data")):
            complaint = run_and_fail(command)
            assert f"the data folder {tmp_path / 'data'} is in use by another process" in complaint
            assert str(server.process.pid) in complaint


@pytest.mark.parametrize("flag", ["--port", "--grpc-port"])
def test_a_port_in_use_is_named_before_anything_is_opened(tmp_path: Path, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        complaint = run_and_fail(serve_command(tmp_path / "data", flag, port))

    assert f"on port {port} of 127.0.0.1" in complaint
    assert f"{flag} or BACKTRAIL_{flag.strip('-').replace('-', '_').upper()}" in complaint
    assert not (tmp_path / "data" / "clickhouse").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    complaint = run_and_fail(serve_command(tmp_path / "file" / "data"))

    assert f"the data folder {tmp_path / 'file' / 'data'} cannot be made" in complaint


def test_a_folder_that_cannot_be_written_is_named() -> None:
    complaint = run_and_fail(serve_command(Path("/proc/self")))

    assert re.search("the data folder /proc/self cannot be", complaint)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("inbox.sqlite/x", "the inbox .* cannot be opened"), ("tmp", "the folder .*tmp cannot be made")],
)
def test_something_else_in_a_files_place_is_named(tmp_path: Path, name: str, complaint: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()

    assert re.search(complaint, run_and_fail(serve_command(tmp_path)))


def test_a_host_that_does_not_resolve_is_named(tmp_path: Path) -> None:
    complaint = run_and_fail(serve_command(tmp_path / "data", "--host", "nowhere.invalid"))

    assert "of nowhere.invalid: " in complaint
    assert "Unknown error" not in complaint


@pytest.mark.parametrize("dsn", ["mysql://somewhere/db", "chdb", "postgres:"])
def test_an_unknown_kind_of_store_is_named(tmp_path: Path, dsn: str) -> None:
    assert dsn in run_and_fail(serve_command(tmp_path / "data", "--store", dsn))


def test_a_store_that_is_away_is_named(tmp_path: Path) -> None:
    complaint = run_and_fail(serve_command(tmp_path / "data", "--store", "clickhouse://default:geheim@127.0.0.1:1/db"))

    assert "127.0.0.1:1 does not answer: Connection refused" in complaint
    assert "geheim" not in complaint


@pytest.mark.parametrize(
    ("name", "value"), [("BACKTRAIL_PORT", "eighty"), ("BACKTRAIL_PORT", "70000"), ("BACKTRAIL_RETRY_AFTER", "30")]
)
def test_a_value_that_makes_no_sense_is_named_with_its_variable(tmp_path: Path, name: str, value: str) -> None:
    command = [sys.executable, "-m", "backtrail_server", "serve", "--data", str(tmp_path)]

    assert f"{name}='{value}': " in run_and_fail(command, os.environ | {name: value})


def migrate_command(data: Path) -> list[str]:
    return [sys.executable, "-m", "backtrail_server", "migrate", "--data", str(data)]
