"""The server drops what projects no longer keep, and the oldest week when the disk is short and it may."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from backtrail_server.reserve import RESERVE, RESERVE_BYTES
from backtrail_server.retention import Retention
from backtrail_store import Keeping, Project, Store
from tests.conftest import Insert
from tests.factories import SECOND, TRACE_ID, plain_span
from tests.server.test_cli import run
from tests.server.test_serving import run_and_fail
from tests.serving import running_server

PLENTY, MORE_THAN_THERE_IS = 1, 1 << 60


def days_ago(days: int) -> int:
    return int((datetime.now(UTC) - timedelta(days=days)).timestamp()) * SECOND


def retention(store: Store, folder: Path, *, reserve: int = PLENTY, drops_oldest: bool = False) -> Retention:
    default = Keeping(spans_days=30)
    return Retention(store=store, folder=folder, default=default, disk_reserve=reserve, drops_oldest=drops_oldest)


def test_a_project_keeps_as_long_as_it_says_and_else_as_long_as_the_server_does(
    store: Store, insert: Insert, tmp_path: Path
) -> None:
    for project in ("default", "long", "for-ever"):
        insert(plain_span(start=days_ago(60)), project=project, received=days_ago(60))
    store.projects.put(Project(name="long", spans_days=90))
    store.projects.put(Project(name="for-ever", spans_days=0))

    retention(store, tmp_path).look()

    kept = [name for name in ("default", "long", "for-ever") if store.reader.get_trace(name, TRACE_ID.hex())]
    assert kept == ["long", "for-ever"]


@pytest.mark.parametrize("drops_oldest", [False, True])
def test_t5_a_full_disk_drops_the_oldest_week_only_where_that_is_allowed(
    store: Store, insert: Insert, tmp_path: Path, drops_oldest: bool
) -> None:
    insert(plain_span(start=days_ago(20)), received=days_ago(20))

    retention(store, tmp_path, reserve=MORE_THAN_THERE_IS, drops_oldest=drops_oldest).look()

    assert bool(store.reader.get_trace("default", TRACE_ID.hex())) is not drops_oldest


def test_t5_room_is_kept_that_a_full_disk_needs_to_be_emptied(store: Store, tmp_path: Path) -> None:
    retention(store, tmp_path, reserve=MORE_THAN_THERE_IS).look()

    reserve = (tmp_path / RESERVE).stat()
    assert reserve.st_size == RESERVE_BYTES
    assert reserve.st_blocks * 512 >= RESERVE_BYTES


def test_a_project_says_at_the_terminal_how_long_it_keeps_what(tmp_path: Path) -> None:
    folder = ("--data", str(tmp_path))
    with running_server(tmp_path) as server:
        assert run("projects", "list", *folder) == "default\n"
        said = run("projects", "set", "default", "--spans-days", "30", "--contents-days", "7", *folder)
        assert said == "project default: spans 30 days, texts 7 days\n"
        said = run("projects", "set", "default", "--contents-days", "0", *folder)
        assert said == "project default: spans 30 days, texts for ever\n"
        assert run("projects", "list", *folder) == said.removeprefix("project ")
        answer = httpx.patch(f"{server.url}/api/v1/projects/default", json={"contents_days": 31})
        assert (answer.status_code, answer.json()["detail"]) == (
            409,
            "texts are not kept longer than their spans: contents_days is 31, spans_days is 30",
        )
        assert httpx.patch(f"{server.url}/api/v1/projects/default", json={"span_days": 3}).status_code == 422
        assert httpx.patch(f"{server.url}/api/v1/projects/nobodys", json={}).status_code == 404
        said = run("projects", "set", "default", "--spans-days", "default", "--contents-days", "default", *folder)
        assert said == "project default: kept as the server is set\n"


def test_a_project_is_not_set_to_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "backtrail_server", "projects", "set", "default", "--data", str(tmp_path)]

    assert "nothing to set; say --spans-days DAYS" in run_and_fail(command)


def test_what_a_project_no_longer_keeps_goes_soon_after_it_was_said(
    store: Store, insert: Insert, tmp_path: Path
) -> None:
    insert(plain_span(start=days_ago(20)), received=days_ago(20))
    looking = retention(store, tmp_path)
    looking.look()
    store.projects.put(Project(name="default", spans_days=7))
    looking.look()
    assert store.reader.get_trace("default", TRACE_ID.hex())

    looking.look_soon()
    looking.look()

    assert store.reader.get_trace("default", TRACE_ID.hex()) == []
    store.projects.put(Project(name="default"))
