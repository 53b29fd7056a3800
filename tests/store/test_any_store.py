"""The store's tests are for any store: here they run on a server and a cluster, as BACKTRAIL_TEST_STORE has them do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clickhouse_http import clickhouse_process

TESTS = Path(__file__).parent
CLUSTER = ("--cluster", "main")
SECONDS = 1800


def run_tests(server: str, *names: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(str(TESTS / name) for name in names)]
    ended = subprocess.run(
        command, env=os.environ | {"BACKTRAIL_TEST_STORE": server}, capture_output=True, text=True, timeout=SECONDS
    )
    assert ended.returncode == 0, ended.stdout[-5000:]
    assert "passed" in ended.stdout


def test_some_of_the_stores_tests_on_a_cluster(tmp_path: Path) -> None:
    with clickhouse_process(tmp_path, *CLUSTER) as address:
        run_tests(f"{address}/test?cluster=main", "test_model_calls.py", "test_retention.py")


@pytest.mark.nightly
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("arguments", [(), CLUSTER], ids=["server", "cluster"])
def test_all_of_the_stores_tests_on_a_server(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    others = [path.name for path in TESTS.glob("test_*.py") if path != Path(__file__)]
    with clickhouse_process(tmp_path, *arguments) as address:
        run_tests(f"{address}/test{'?cluster=main' if arguments else ''}", *others)
