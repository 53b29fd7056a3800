"""T5: on a full disk nothing is acknowledged that cannot be kept; reading works, and afterwards everything does."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from google.rpc.status_pb2 import Status

from tests.factories import TRACE_ID, otlp_request, plain_span, span_id
from tests.faults.old_spans_program import OLD_TRACE, SPANS
from tests.faults.test_quarantine import books_are_right, counted
from tests.serving import RunningServer, running_server
from tests.waiting import until

MIB = 1 << 20
RESERVE = 64 * MIB


@pytest.fixture(scope="module")
def namespace() -> list[str]:
    """A command whose commands may mount what only they see."""
    for command in (["unshare", "--mount"], ["unshare", "--mount", "--user", "--map-root-user"]):
        mounting = [*command, "mount", "-t", "tmpfs", "none", "/mnt"]
        if shutil.which("unshare") and subprocess.run(mounting, capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("neither root nor a user namespace: a small disk cannot be mounted here")


@pytest.fixture
def small_disk(namespace: list[str], tmp_path: Path) -> Iterator[tuple[RunningServer, Path]]:
    with serving_on_small_disk(namespace, tmp_path) as small_disk:
        yield small_disk


@contextmanager
def serving_on_small_disk(
    namespace: list[str], folder: Path, *, before: str = "true", **settings: str
) -> Iterator[tuple[RunningServer, Path]]:
    """A server whose data lies on a disk of 320 MiB, and that disk as it is seen from here."""
    data = folder / "disk"
    data.mkdir()
    mount = ["sh", "-c", f'mount -t tmpfs -o size=320m none "$0" && {before} "$0" && exec "$@"', str(data)]
    environment = os.environ | {"BACKTRAIL_DISK_RESERVE_BYTES": str(RESERVE)} | settings
    with running_server(data, env=environment, inside=[*namespace, *mount]) as server:
        yield server, Path(f"/proc/{server.process.pid}/root{data}")


def post(server: RunningServer, number: int) -> httpx.Response:
    body = otlp_request(plain_span(str(number), id_=span_id(number))).SerializeToString()
    return httpx.post(f"{server.url}/v1/traces", content=body, headers={"content-type": "application/x-protobuf"})


def leave_free(disk: Path, size: int) -> None:
    with (disk / "filler").open("ab") as file:
        while (free := shutil.disk_usage(disk).free) > size:
            file.write(bytes(min(MIB, free - size)))
            file.flush()


def names(server: RunningServer) -> set[str]:
    answer = httpx.get(f"{server.url}/api/v1/traces/{TRACE_ID.hex()}", timeout=30)
    assert answer.status_code == 200
    return {span["name"] for span in answer.json()["spans"]}


@pytest.mark.parametrize("left", [RESERVE // 2, 0], ids=["into the reserve", "to the last byte"])
def test_t5_a_full_disk_refuses_says_why_answers_questions_and_takes_again_by_itself(
    small_disk: tuple[RunningServer, Path], left: int
) -> None:
    server, disk = small_disk
    assert post(server, 1).status_code == 200
    until(lambda: counted(server, "stored_total") == 1)

    leave_free(disk, left)
    for number in (2, 3):
        refused = post(server, number)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert f"and {RESERVE} are kept in reserve" in Status.FromString(refused.content).message
    assert names(server) == {"1"}
    until(lambda: "the disk" in httpx.get(f"{server.url}/readyz").text)
    assert 'backtrail_requests_refused_total{reason="DiskFull"} 2.0' in httpx.get(f"{server.url}/metrics").text

    (disk / "filler").unlink()
    assert post(server, 2).status_code == 200
    until(lambda: counted(server, "stored_total") == 2)
    assert names(server) == {"1", "2"}
    until(lambda: httpx.get(f"{server.url}/readyz").status_code == 200)
    assert books_are_right(server)


@pytest.mark.nightly
def test_t5_where_that_is_allowed_a_disk_without_a_byte_is_emptied_of_its_oldest_week(
    namespace: list[str], tmp_path: Path
) -> None:
    program = f"{sys.executable} -m tests.faults.old_spans_program"
    allowed = {"BACKTRAIL_DROP_OLDEST_WHEN_FULL": "true"}
    with serving_on_small_disk(namespace, tmp_path, before=program, **allowed) as (server, disk):
        old_week = f"{server.url}/api/v1/traces/{OLD_TRACE.hex()}"
        assert post(server, 1).status_code == 200
        until(lambda: counted(server, "stored_total") == 1)
        assert len(httpx.get(old_week, timeout=30).json()["spans"]) == SPANS

        leave_free(disk, 0)
        assert post(server, 2).status_code == 503

        until(lambda: httpx.get(old_week).status_code == 404, seconds=60)
        until(lambda: post(server, 2).status_code == 200, seconds=60)
        until(lambda: counted(server, "stored_total") == 2)
        assert names(server) == {"1", "2"}
        assert (disk / "reserve").stat().st_size == 8 * MIB
