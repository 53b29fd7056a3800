"""What is said when a store does not open."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backtrail_store import StoreError, StoreNotWritable, StoreUnavailable, open_store


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(StoreNotWritable, match=r"file/store cannot be written"),
        open_store(f"chdb://{tmp_path}/file/store"),
    ):
        pass


def test_a_server_that_does_not_answer_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}"), open_store(f"clickhouse://127.0.0.1:{port}"):
        pass


def test_a_folder_that_another_process_has_open_is_refused(tmp_path: Path) -> None:
    program = (
        "import sys, backtrail_store as b\nwith b.open_store(sys.argv[1]): print('open', flush=True); sys.stdin.read()"
    )
    opening = [sys.executable, "-c", program, f"chdb://{tmp_path}/store"]
    with subprocess.Popen(opening, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"

        second = subprocess.run(opening, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        owner.communicate("")

    assert second.returncode == 1
    assert "StoreInUse: The folder" in second.stderr


def test_the_embedded_engine_keeps_to_one_folder_in_a_process(embedded_dsn: str, tmp_path: Path) -> None:
    with open_store(embedded_dsn), pytest.raises(StoreError), open_store(f"chdb://{tmp_path}/other"):
        pass


def test_a_closed_store_says_so_instead_of_waiting_for_ever(store_dsn: str) -> None:
    with open_store(store_dsn) as store:
        pass

    with pytest.raises(StoreUnavailable, match="closed"):
        store.ping()
