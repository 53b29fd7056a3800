"""backtrail-server migrate and check, and what --help says."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from backtrail_ingest import Ledger, open_inbox
from backtrail_server.cli import main, parser
from backtrail_server.commands.serve import SERVE_FLAGS
from backtrail_server.settings import Settings
from tests.factories import plain_span
from tests.ingest.conftest import envelope_of
from tests.serving import running_server


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "backtrail_server", *arguments]
    return subprocess.check_output(command, text=True, timeout=60)


def test_migrate_applies_once(tmp_path: Path) -> None:
    first = run("migrate", "--data", str(tmp_path))
    second = run("migrate", "--data", str(tmp_path))

    assert first.startswith("applied 00")
    assert second == "nothing to apply: the schema is current\n"


def test_migrate_prints_what_it_would_do_and_touches_nothing(tmp_path: Path) -> None:
    embedded = run("migrate", "--print", "--data", str(tmp_path / "data"))
    away = "clickhouse://writer:geheim@127.0.0.1:1/trail"
    cluster = run("migrate", "--print", "--data", str(tmp_path / "data"), "--store", away, "--cluster", "main")

    assert embedded.startswith("CREATE DATABASE IF NOT EXISTS `backtrail`;\n\nUSE `backtrail`;\n")
    assert "ENGINE = ReplacingMergeTree(version)" in embedded
    assert cluster.startswith("CREATE DATABASE IF NOT EXISTS `trail` ON CLUSTER 'main';\n")
    assert "ENGINE = Distributed('main', 'trail', spans_local, " in cluster
    assert "geheim" not in cluster
    assert not (tmp_path / "data").exists()


def test_check_says_what_is_there(tmp_path: Path) -> None:
    with open_inbox(tmp_path / "inbox.sqlite", max_bytes=1 << 20, ledger=Ledger(CollectorRegistry())) as inbox:
        asyncio.run(inbox.append(envelope_of(plain_span())))
        asyncio.run(inbox.append(envelope_of(plain_span("other"))))
        inbox.quarantine(inbox.take(1).result(5)[0], "the engine did not like it")

    report = run("check", "--data", str(tmp_path)).splitlines()

    assert report[0].startswith("backtrail-server 0.")
    assert re.fullmatch(r"chDB \S+, ClickHouse \S+, SQLite 3\.\S+", report[1])
    assert re.fullmatch(rf"data folder {tmp_path}(, \S+)?, .* free", report[-8])
    assert report[-7] == f"store chdb://{tmp_path}/clickhouse"
    assert report[-6].startswith("TLS: none")
    assert report[-5].startswith("inbox: 1 spans waiting in 1 requests, ")
    assert report[-4:] == [
        "quarantine: 1 spans in 1 requests",
        "  refused: the engine did not like it",
        "degraded",
        "  quarantine: 1 spans and log records are in quarantine: see `backtrail-server quarantine list`",
    ]
    assert run("check", "--data", str(tmp_path)).splitlines()[-5:] == report[-5:]  # and nothing was changed


def test_check_asks_the_server_that_owns_the_folder_and_fails_if_that_is_not_ready(tmp_path: Path) -> None:
    with running_server(tmp_path, env=os.environ | {"BACKTRAIL_DISK_RESERVE_BYTES": str(1 << 50)}):
        command = [sys.executable, "-m", "backtrail_server", "check", "--data", str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    assert ended.stderr == ""
    _, _, reasons = ended.stdout.partition("\nnot ready\n")
    assert f"  disk: the disk of {tmp_path} has " in reasons


def test_a_soak_needs_no_server(tmp_path: Path) -> None:
    report = run("check", "--data", str(tmp_path), "--soak", "0.5", "--seed", "5").splitlines()

    assert report[0] == "seed 5, service.name backtrail-soak-5"
    assert report[1].startswith("written              3 runs, ")
    assert [line.split()[-2:] for line in report[1:5]] == [["0", "mismatches"]] * 4
    assert report[5].startswith("ack → readable ")


def test_every_flag_says_what_its_setting_says(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["serve", "--help"])

    shown = " ".join(capsys.readouterr().out.split())
    for name in SERVE_FLAGS:
        assert f"--{name.replace('_', '-')} {'ingest|query' if name == 'only' else name.upper()} " in shown
        assert str(Settings.model_fields[name].description) in shown


def test_without_a_command_it_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])

    assert "COMMAND" in capsys.readouterr().err


def test_a_variable_that_is_no_setting_is_named_with_the_one_it_looks_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKTRAIL_PROT", "4319")
    monkeypatch.setenv("BACKTRAIL_API_KEY", "the SDK's")

    assert main(["migrate", "--print", "--data", str(tmp_path)]) == 0

    complaints = [line for line in capsys.readouterr().err.splitlines() if "API_KEY" in line or "PROT" in line]
    assert complaints == ["backtrail-server: BACKTRAIL_PROT is no setting and is ignored; is BACKTRAIL_PORT meant?"]


@pytest.mark.parametrize("command", [["check"], ["backup", "trail.tar"]])
def test_a_misspelt_folder_is_named_and_not_made(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main([*command, "--data", "misspelt"]) == 2

    assert f"there is no data folder {tmp_path / 'misspelt'}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
