"""The SDK, its command line and stock exporters, against a server that asks for keys."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import backtrail
from backtrail import cli
from backtrail._boundary import _last_line
from backtrail.errors import ApiError
from tests.security.conftest import KeyedServer
from tests.waiting import until

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_configuration(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("BACKTRAIL_API_KEY", raising=False)
    backtrail.shutdown()
    _last_line.clear()  # what was complained about in one test may be again in the next
    yield
    backtrail.shutdown()


@backtrail.step
def look_up(order: str) -> str:
    return f"{order} is shipped"


def test_runs_are_recorded_read_and_replayed_with_a_key(keyed: KeyedServer) -> None:
    key = keyed.operator.create_key("shop", "ingest", "read")
    client = backtrail.configure(keyed.server.url, service_name="keyed", api_key=key)
    broken = True

    @backtrail.run(name="ask")
    def handle(query: str) -> str:
        answer = look_up("order 7")
        if broken:
            raise TimeoutError("the bank does not answer")
        return answer

    with pytest.raises(TimeoutError):
        handle("where is my order?")
    until(lambda: [run.status for run in client.runs(name="ask").runs] == ["failed"])
    [failed] = client.runs(name="ask").runs
    broken = False
    replayed = asyncio.run(client.replay(failed.run_id, handle))

    assert (failed.status, replayed.value) == ("failed", "order 7 is shipped")
    until(lambda: [run.status for run in client.runs(name="ask").runs] == ["completed", "failed"])
    with backtrail.Client(keyed.server.url, api_key=keyed.keys["other"]) as other:
        assert other.runs(name="ask").runs == []
        with pytest.raises(ApiError, match="no run or trace"):
            other.run(failed.run_id)


def test_the_environment_and_the_command_line_know_the_key(
    keyed: KeyedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = keyed.operator.create_key("shop", "ingest", "read")
    monkeypatch.setenv("BACKTRAIL_API_KEY", f"{key}\n")  # as a shell reads it from a file
    backtrail.configure(keyed.server.url)

    @backtrail.run(name="from the environment")
    def handle() -> str:
        return "done"

    handle()
    client = backtrail.Client(keyed.server.url)
    until(lambda: len(client.runs(name="from the environment").runs) == 1)
    assert cli.main(["runs", "--endpoint", keyed.server.url]) == 0
    assert "from the environment" in capsys.readouterr().out

    monkeypatch.delenv("BACKTRAIL_API_KEY")
    assert cli.main(["runs", "--endpoint", keyed.server.url]) == 2
    assert "this server asks for a key: the SDK and the command line take BACKTRAIL_API_KEY" in capsys.readouterr().err


def test_a_spool_is_delivered_with_the_key_of_the_process_that_delivers_it(keyed: KeyedServer, tmp_path: Path) -> None:
    key = keyed.operator.create_key("shop", "ingest", "read")
    dead = subprocess.run(
        [sys.executable, "-m", "tests.e2e.undelivered", "http://127.0.0.1:9", "3", "killed", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    run_id = dead.stdout.split()[0]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if b"bt_" in path.read_bytes()] == []

    client = backtrail.configure(keyed.server.url, api_key=key, spool_dir=tmp_path)

    until(lambda: run_id in {run.run_id for run in client.runs(service="undelivered").runs})


@pytest.mark.parametrize(
    ("caller", "why"),
    [
        ("none", "the api key is missing or not accepted here"),
        ("wrong", "the api key is missing or not accepted here"),
        (
            "read",
            "this is not allowed with the api key that was sent; it takes one with ",
        ),
    ],
)
def test_a_refused_key_is_one_sentence_in_the_log_and_nothing_to_the_program(
    keyed: KeyedServer, caplog: pytest.LogCaptureFixture, caller: str, why: str
) -> None:
    key = keyed.keys[caller]
    backtrail.configure(keyed.server.url, api_key=key or None)

    @backtrail.run
    def handle() -> str:
        return "done"

    with caplog.at_level(logging.WARNING):
        assert handle() == "done"
        backtrail.shutdown()

    assert caplog.text.count(why) == 1
    assert "bt_" not in caplog.text


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel", "bt_ x"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="the api key has characters that no key has") as refused:
        backtrail.configure("http://127.0.0.1:9", api_key=key)
    assert key not in str(refused.value)
    with pytest.raises(ValueError, match="the api key has characters that no key has"):
        backtrail.Client("http://127.0.0.1:9", api_key=key)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("header", ["x-backtrail-key={key}", "authorization=Bearer%20{key}"])
def test_stock_exporters_send_the_key_from_their_own_variable(keyed: KeyedServer, protocol: str, header: str) -> None:
    project = f"stock-{protocol}-{header[0]}"
    keyed.operator.create_project(project)
    key = keyed.operator.create_key(project, "ingest", "read")
    endpoint = keyed.server.url if protocol == "http" else f"http://{keyed.server.grpc_target}"
    environment = {
        "PATH": os.environ["PATH"],
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": header.format(key=key),
    }
    program = [sys.executable, str(ROOT / "tests/e2e/stock_program.py"), protocol]
    subprocess.run(program, env=environment, stdout=subprocess.DEVNULL, timeout=60, check=True)

    with backtrail.Client(keyed.server.url, api_key=key) as client:
        until(lambda: [run.service_name for run in client.runs(kind="any").runs] == ["stock"])
