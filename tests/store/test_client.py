"""Addresses of stores, and what is said when one does not open."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backtrail_store import StoreError, StoreNotWritable, StoreUnavailable, UnknownStoreScheme, open_store
from backtrail_store.client import Address, parse_address


@pytest.mark.parametrize(
    ("dsn", "address"),
    [
        ("chdb:///var/lib/x", Address(database="backtrail", folder=Path("/var/lib/x"))),
        ("chdb:///a%20b?database=d", Address(database="d", folder=Path("/a b"))),
        ("clickhouse://h", Address(database="backtrail", host="h", port=8123)),
        (
            "clickhouse://u%40x:p%2Fw@h:9/db",
            Address(database="db", host="h", port=9, username="u@x", password="p/w"),
        ),
        ("clickhouses://h/db", Address(database="db", host="h", port=8443, secure=True)),
    ],
)
def test_an_address_is_taken_apart(dsn: str, address: Address) -> None:
    assert parse_address(dsn) == address


@pytest.mark.parametrize("dsn", ["postgres://h", "/just/a/path", "", "chdb:", "chdb://"])
def test_an_unknown_scheme_is_refused_with_what_to_write(dsn: str) -> None:
    with pytest.raises(UnknownStoreScheme, match="write chdb:///path/to/folder"), open_store(dsn):
        pass


def test_a_port_that_is_no_number_is_refused() -> None:
    with pytest.raises(UnknownStoreScheme, match="no port"), open_store("clickhouse://host:eighty/db"):
        pass


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


def test_the_embedded_engine_keeps_to_one_folder_in_a_process(store_dsn: str, tmp_path: Path) -> None:
    with open_store(store_dsn), pytest.raises(StoreError), open_store(f"chdb://{tmp_path}/other"):
        pass


def test_a_closed_store_says_so_instead_of_waiting_for_ever(store_dsn: str) -> None:
    with open_store(store_dsn) as store:
        pass

    with pytest.raises(StoreUnavailable, match="closed"):
        store.ping()
