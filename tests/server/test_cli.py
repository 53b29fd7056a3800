"""backtrail-server migrate and check, and what --help says."""

import asyncio
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


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "backtrail_server", *arguments]
    return subprocess.check_output(command, text=True, timeout=60)


def test_migrate_applies_once(tmp_path: Path) -> None:
    first = run("migrate", "--data", str(tmp_path))
    second = run("migrate", "--data", str(tmp_path))

    assert first.startswith("applied 0001_")
    assert second == "nothing to apply: the schema is current\n"


def test_check_says_what_is_there(tmp_path: Path) -> None:
    with open_inbox(tmp_path / "inbox.sqlite", max_bytes=1 << 20, ledger=Ledger(CollectorRegistry())) as inbox:
        asyncio.run(inbox.append(envelope_of(plain_span())))
        asyncio.run(inbox.append(envelope_of(plain_span("other"))))
        inbox.quarantine(inbox.take(1).result(5)[0], "the engine did not like it")

    report = run("check", "--data", str(tmp_path)).splitlines()

    assert report[0].startswith("backtrail-server 0.")
    assert report[1].startswith("SQLite 3.")
    assert ", chDB " in report[1]
    assert report[2:] == [
        f"data folder {tmp_path}: writable, not in use",
        f"store chdb://{tmp_path}/clickhouse: answers",
        "inbox: 1 spans waiting in 1 requests",
        "quarantine: 1 spans in 1 requests",
        "  refused: the engine did not like it",
    ]


def test_every_flag_says_what_its_setting_says(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["serve", "--help"])

    shown = " ".join(capsys.readouterr().out.split())
    for name in SERVE_FLAGS:
        assert f"--{name.replace('_', '-')} {name.upper()} " in shown
        assert str(Settings.model_fields[name].description) in shown


def test_without_a_command_it_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])

    assert "COMMAND" in capsys.readouterr().err
