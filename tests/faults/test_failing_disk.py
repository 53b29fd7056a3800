"""T2, T3 and T4: the disk of the inbox fails at its Nth call, or the process dies in it, or the power goes."""

import errno
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
from google.rpc.status_pb2 import Status
from prometheus_client import CollectorRegistry

from backtrail_ingest import Ledger
from backtrail_ingest.inbox.inbox_file import InboxFile
from tests.factories import TRACE_ID, otlp_request, plain_span, span_id
from tests.faults.faulty import Life, Lives, lives_on, numbered, numbers_of
from tests.ingest.conftest import InboxFolder
from tests.server.test_control import quarantine_a_request
from tests.serving import RunningServer, running_server
from tests.waiting import until

ALL = {*range(1, 10), 100}
LEAST_CALLS = {"write": 40, "sync": 12, "truncate": 1, "unlink": 1}
REFUSED = [("write", errno.EIO), ("write", errno.ENOSPC), ("sync", errno.EIO), ("sync", errno.ENOSPC)]
REFUSED += [("sync", errno.EINTR)]  # SQLite itself tries an interrupted write again, a sync not
EVERY = 2


def left_in(life: Life, *, is_damaged: bool = False) -> tuple[list[int], set[int]]:
    """What waits at the next start, and what lies in quarantine; each request whole."""
    waiting: list[int] = []
    ledger = Ledger(CollectorRegistry())
    with InboxFolder(life.folder / "inbox.sqlite").opened(ledger) as inbox:
        while len(waiting) < ledger.spans.waiting:
            entries = inbox.take(1 << 20).result(5)
            assert [entry.envelope.digest for entry in entries] == [numbered(n).digest for n in numbers_of(entries)]
            waiting += numbers_of(entries)
        quarantined = inbox.ask(InboxFile.quarantined)
        rows = [inbox.ask(lambda file, id_=row.id: file.read_quarantined(id_)) for row in quarantined]  # type: ignore[misc]
        assert is_damaged or inbox.trouble is None
    return waiting, set(numbers_of(rows))


def assert_kept(life: Life) -> None:
    waiting, quarantined = left_in(life)
    assert len(waiting) == len(set(waiting))
    assert life.numbers("acknowledged") <= life.numbers("stored") | set(waiting) | quarantined
    assert set(waiting) | quarantined <= ALL
    if not life.was_killed:
        assert set(waiting) | life.numbers("stored") | quarantined <= life.numbers("acknowledged")


def books_are_right(life: Life) -> bool:
    """And nothing that the store has counts as lost because the disk failed when it left."""
    strange = [line[1:] for line in life.told if line[0] == "strange"]
    return strange == [["0"]] and [line[1] == line[2] for line in life.told if line[0] == "counted"] == [True]


@pytest.mark.parametrize("kind", ["write", "sync", "truncate", "unlink"])
def test_t2_dying_at_the_nth_call_loses_nothing_that_was_acknowledged(lives: Lives, kind: str) -> None:
    deaths = 0
    while (life := lives.live(kind, deaths + 1)).was_killed:
        assert_kept(life)
        deaths += 1

    assert life.exit_code == 0
    assert deaths >= LEAST_CALLS[kind]


FAULTS = [("write", errno.EIO), ("write", errno.ENOSPC), ("sync", errno.EIO), ("sync", errno.ENOSPC)]
FAULTS += [("sync", errno.EINTR), ("write", errno.EINTR), ("truncate", errno.EIO), ("unlink", errno.EIO)]


@pytest.mark.parametrize(("kind", "error"), FAULTS, ids=lambda value: errno.errorcode.get(value, value))
def test_t4_when_the_nth_call_fails_the_request_is_refused_and_the_next_one_taken(
    lives: Lives, kind: str, error: int
) -> None:
    refused = False
    for at in range(1, LEAST_CALLS[kind] + 1, 1 if kind != "write" else EVERY):
        life = lives.live(kind, at, error=error)
        assert life.exit_code == 0
        if any(line[0] == "unusable" for line in life.told):
            assert not life.numbers("acknowledged")
            continue
        assert_kept(life)
        assert books_are_right(life)
        assert life.numbers("acknowledged") == ALL
        refused |= bool(life.numbers("refused"))

    assert refused == ((kind, error) in REFUSED)


@pytest.mark.parametrize(("kind", "firsts"), [("write", range(26, 38, 3)), ("sync", range(6, 13))])
def test_t4_a_disk_that_fails_many_times_is_used_again_when_it_works(lives: Lives, kind: str, firsts: range) -> None:
    refused = False
    for first in firsts:
        life = lives.live(kind, first, error=errno.EIO, times=8)
        assert life.exit_code == 0
        assert 100 in life.numbers("acknowledged")
        assert_kept(life)
        assert books_are_right(life)
        refused |= bool(life.numbers("refused"))

    assert refused


def test_t5_a_full_disk_releases_the_reserve_so_that_what_is_stored_can_leave(lives: Lives) -> None:
    released = False
    for at in range(26, 40, 2):
        life = lives.live("write", at, error=errno.ENOSPC, times=4)
        assert life.exit_code == 0
        assert_kept(life)
        assert 100 in life.numbers("acknowledged")
        released |= ["released"] in life.told

    assert released


def test_t4_while_the_disk_fails_a_server_answers_503_and_stays_up(disk: Path, tmp_path: Path) -> None:
    failing = tmp_path / "failing"
    environment = os.environ | {"LD_PRELOAD": str(disk), "FAULTY_WHILE": str(failing)}
    quarantine_a_request(tmp_path / "data")
    with running_server(tmp_path / "data", env=environment) as server:
        assert post(server, 1).status_code == 200
        failing.touch()
        undropped = httpx.delete(f"{server.url}/api/v1/quarantine/1")
        assert (undropped.status_code, undropped.headers["retry-after"]) == (503, "2")
        for number in (2, 3):
            refused = post(server, number)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
            assert "could not be written" in Status.FromString(refused.content).message
        until(lambda: "could not be written" in httpx.get(f"{server.url}/readyz").text)
        failing.unlink()
        until(lambda: post(server, 2).status_code == 200)
        # 404 where the commit whose sync failed has come onto the disk after all
        assert httpx.delete(f"{server.url}/api/v1/quarantine/1").status_code in (200, 404)
        until(lambda: httpx.get(f"{server.url}/readyz").status_code == 200)
        until(lambda: "backtrail_spans_stored_total 2.0" in httpx.get(f"{server.url}/metrics").text)


def post(server: RunningServer, number: int) -> httpx.Response:
    payload = {"gen_ai.tool.call.result": f"result {number}"}
    body = otlp_request(plain_span(id_=span_id(number), attributes=payload)).SerializeToString()
    return httpx.post(f"{server.url}/v1/traces", content=body, headers={"content-type": "application/x-protobuf"})


SYNCED = re.compile(r"f(?:data)?sync\(\d+<([^>]*)>")


def test_t3_what_has_left_the_inbox_is_in_files_that_were_synced(tmp_path: Path) -> None:
    """A power cut takes every file of a part that was not synced: here they are deleted."""
    log = tmp_path / "synced"
    strace = ["strace", "-D", "-f", "-qq", "-y", "-e", "trace=fsync,fdatasync", "-o", str(log)]
    if not shutil.which("strace") or subprocess.run([*strace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace is missing, or may not attach")
    with running_server(tmp_path / "data", inside=strace) as server:
        for number in range(1, 4):
            assert post(server, number).status_code == 200
            until(lambda n=number: f"spans_stored_total {n}.0" in httpx.get(f"{server.url}/metrics").text)  # type: ignore[misc]
        server.kill()

    synced = {final_path(found[1]) for line in log.read_text().splitlines() if (found := SYNCED.search(line))}
    parts = {path.parent for path in (tmp_path / "data" / "clickhouse").rglob("checksums.txt")}
    files = [file for part in parts for file in part.iterdir() if file.is_file()]
    lost = [file for file in files if str(file) not in synced]
    assert len(files) - len(lost) > 20
    for file in lost:
        file.unlink()

    with running_server(tmp_path / "data") as server:
        spans = httpx.get(f"{server.url}/api/v1/traces/{TRACE_ID.hex()}").json()["spans"]
        assert {int(span["span_id"], 16) for span in spans} == {1, 2, 3}
        assert {span["attributes"]["gen_ai.tool.call.result"] for span in spans} == {f"result {n}" for n in range(1, 4)}


def final_path(path: str) -> str:
    """A part is written under a temporary name."""
    return re.sub(r"/tmp_(?:insert|merge|mut)_", "/", path)


def test_t3_after_a_power_cut_at_any_acknowledgement_everything_acknowledged_is_there(
    disk: Path, tmp_path: Path
) -> None:
    """What was written and not synced is gone: the files are as they were when each was last synced."""
    with lives_on(disk, tmp_path, KEEP_DURABLE="1") as lives:
        life = lives.live()
    cuts = sorted(life.folder.glob("cut-*"))

    assert life.exit_code == 0
    assert len(cuts) == len(ALL)
    for cut in cuts:
        assert_kept(Life(cut, -signal.SIGKILL))
