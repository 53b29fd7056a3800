"""A backup is taken while spans pour in, and a folder made of it has everything that was acknowledged before."""

import io
import os
import random
import stat
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from backtrail_ingest import Ledger, open_inbox
from backtrail_server.backup import contents
from backtrail_server.backup.contents import copied_inbox
from backtrail_server.backup.restore import restore
from backtrail_server.errors import CommandFailed
from backtrail_store import NoRoom, NotEmbedded, Store, StoreUnavailable, schema_files
from backtrail_store.address import parse_address
from tests.factories import TRACE_ID, otlp_request, plain_span, run_span, span_id
from tests.faults.test_kills import PROTOBUF, Sender
from tests.server.test_cli import run
from tests.serving import RunningServer, running_server
from tests.waiting import until


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backtrail_server", *arguments], capture_output=True, text=True, check=False
    )


def send(server: RunningServer, text: str = "hello") -> None:
    body = otlp_request(run_span(attributes={"backtrail.run.input": text})).SerializeToString()
    httpx.post(f"{server.url}/v1/traces", content=body, headers=PROTOBUF).raise_for_status()


def runs(server: RunningServer) -> int:
    return len(httpx.get(f"{server.url}/api/v1/runs", params={"kind": "any"}).json()["runs"])


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a folder with one run, taken while nobody serves it."""
    folder = tmp_path_factory.mktemp("backup")
    with running_server(folder / "data") as server:
        send(server)
        until(lambda: runs(server) == 1)
    assert "bytes" in run("backup", str(folder / "backup.tar"), "--data", str(folder / "data"))
    return folder / "backup.tar"


def test_everything_acknowledged_before_a_backup_is_in_it_though_the_server_is_killed(tmp_path: Path) -> None:
    senders = [Sender(random.Random(number).randbytes(16)) for number in range(2)]
    with running_server(tmp_path / "data") as server:
        threads = [threading.Thread(target=one.send_until_the_server_is_gone, args=[server.url]) for one in senders]
        for thread in threads:
            thread.start()
        time.sleep(1)
        acknowledged = [set(sender.acknowledged) for sender in senders]
        done = command("backup", str(tmp_path / "backup.tar.zst"), "--data", str(tmp_path / "data"))
        server.kill()
        for thread in threads:
            thread.join()
    assert done.returncode == 0, done.stderr

    run("restore", str(tmp_path / "backup.tar.zst"), "--data", str(tmp_path / "restored"))

    with running_server(tmp_path / "restored") as server:
        until(lambda: "backtrail_spans_waiting 0.0" in httpx.get(f"{server.url}/metrics").text)
        for sender, before in zip(senders, acknowledged, strict=True):
            spans = httpx.get(f"{server.url}/api/v1/traces/{sender.trace_id.hex()}", timeout=60).json()["spans"]
            there = [span["span_id"] for span in spans]
            assert len(there) == len(set(there))
            assert before <= set(there) <= sender.sent
            assert all(span["attributes"]["filler"] for span in spans)
    assert sum(map(len, acknowledged)) > 100


def test_a_restored_folder_is_served_and_takes_more(backup: Path, tmp_path: Path) -> None:
    answer = run("restore", str(backup), "--data", str(tmp_path / "restored"))

    assert answer.startswith(f"{tmp_path}/restored: restored as it was at 20")
    with running_server(tmp_path / "restored") as server:
        assert runs(server) == 1
        body = otlp_request(plain_span(trace_id=b"another run's id", id_=span_id(5))).SerializeToString()
        httpx.post(f"{server.url}/v1/traces", content=body, headers=PROTOBUF).raise_for_status()
        until(lambda: runs(server) == 2)


def test_a_backup_whose_reader_goes_away_stands_in_nobodys_way(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        send(server)
        for _ in range(3):
            with httpx.stream("GET", f"{server.url}/api/v1/backup") as answer:
                assert answer.status_code == 200
        erased = httpx.delete(f"{server.url}/api/v1/runs/{TRACE_ID.hex()}", timeout=30)

        assert erased.status_code == 200, erased.text
        until(lambda: not list((tmp_path / "tmp").glob("inbox-*")))


def test_a_second_backup_does_not_keep_a_thread_until_the_first_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "LOCK_SECONDS", 0)

    with contents.alone(), pytest.raises(StoreUnavailable, match="another backup"), contents.alone():
        pass

    with contents.alone():
        pass


def test_a_backup_is_for_its_owner_alone_and_leaves_nothing_behind(backup: Path) -> None:
    data = backup.parent / "data"

    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert [path for path in (data / "clickhouse").glob("shadow/*") if path.is_dir()] == []
    assert [path.name for path in (data / "tmp").iterdir() if path.name.startswith("inbox")] == []
    assert not backup.with_name("backup.tar.part").exists()


def refused(tmp_path: Path, backup: Path) -> str:
    """What is said against it; nothing must have been made."""
    with pytest.raises(CommandFailed) as refusal:
        restore(backup, tmp_path / "restored", known_schema=schema_files())
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("restored")] == []
    return str(refusal.value)


def test_a_backup_with_a_flipped_bit_is_not_restored(backup: Path, tmp_path: Path) -> None:
    content = bytearray(backup.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        damaged = next(member for member in tar if member.name.endswith("data.bin"))
    content[damaged.offset_data + damaged.size // 2] ^= 1
    (tmp_path / "damaged.tar").write_bytes(content)

    assert f"1 files of the backup are not as they were written, {damaged.name} among them" in refused(
        tmp_path, tmp_path / "damaged.tar"
    )


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.98])
def test_a_backup_that_was_cut_off_is_not_restored(backup: Path, tmp_path: Path, share: float) -> None:
    content = backup.read_bytes()
    (tmp_path / "cut.tar").write_bytes(content[: int(len(content) * share)])

    assert "nothing was restored" in refused(tmp_path, tmp_path / "cut.tar")


def test_a_backup_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path, tmp_path / "nowhere.tar").startswith(f"{tmp_path / 'nowhere.tar'} is not there")


def test_a_newer_versions_backup_is_refused_by_name(backup: Path, tmp_path: Path) -> None:
    newer = backup.read_bytes().replace(b'"0000_erased"', b'"9999_newer!"', 1)
    (tmp_path / "newer.tar").write_bytes(newer)

    assert "the backup was made by a newer Backtrail (0.1.0): it has 9999_newer!" in refused(
        tmp_path, tmp_path / "newer.tar"
    )


@pytest.mark.parametrize(("name", "link"), [("../../escaped", ""), ("inside", "../../escaped")])
def test_a_backup_that_would_write_elsewhere_is_refused(backup: Path, tmp_path: Path, name: str, link: str) -> None:
    with tarfile.open(backup) as tar, tarfile.open(tmp_path / "evil.tar", "w") as evil:
        header = tar.getmembers()[0]
        evil.addfile(header, tar.extractfile(header))
        outside = tarfile.TarInfo(name)
        if link:
            outside.type, outside.linkname = tarfile.SYMTYPE, link
        evil.addfile(outside, io.BytesIO())

    assert "outside the destination" in refused(tmp_path, tmp_path / "evil.tar")


def test_a_folder_that_holds_something_is_left_alone(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "restored").mkdir()
    (tmp_path / "restored" / "mine").write_text("keep")

    done = command("restore", str(backup), "--data", str(tmp_path / "restored"))

    assert (done.returncode, "is not empty" in done.stderr) == (2, True)
    assert [path.name for path in (tmp_path / "restored").iterdir()] == ["mine"]


def test_a_file_that_cannot_be_written_is_one_sentence(backup: Path, tmp_path: Path) -> None:
    done = command("backup", str(tmp_path / "no" / "folder.tar"), "--data", str(backup.parent / "data"))

    assert done.returncode == 2
    assert (
        done.stderr == f"backtrail-server: {tmp_path}/no/folder.tar could not be written: No such file or directory\n"
    )


def test_what_is_no_file_is_not_replaced_by_a_backup(backup: Path, tmp_path: Path) -> None:
    """A device above all: `backup /dev/stdout` as root would put a file in its place."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    done = command("backup", str(pipe), "--data", str(backup.parent / "data"))

    assert done.returncode == 2
    assert done.stderr == f"backtrail-server: {pipe} could not be written: it is there and is no file\n"
    assert pipe.is_fifo()


def test_a_disk_without_room_for_the_copy_of_the_inbox_is_one_sentence(tmp_path: Path) -> None:
    with open_inbox(tmp_path / "inbox.sqlite", max_bytes=1 << 22, ledger=Ledger(CollectorRegistry())) as inbox:
        (tmp_path / "tmp").symlink_to("/proc/self")  # where nobody can make a file
        with (
            pytest.raises(NoRoom, match=r"the inbox could not be copied to .* for the backup"),
            copied_inbox(inbox, tmp_path),
        ):
            pass


def test_for_a_clickhouse_server_its_own_tool_is_named() -> None:
    store = Store(parse_address("clickhouse://db/traces"))

    with pytest.raises(NotEmbedded, match="BACKUP DATABASE traces TO"), store.frozen():
        pass
