"""Secrets that go through a program in every place the SDK looks at, searched for in everything that is kept of it.

    program → SDK ──spool, requests──▶ server ──inbox, store, logs──▶ API, bundles

Beside each secret the program says a word that is none: unless the search finds that in each place, it proves nothing.
"""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_ingest.inbox.inbox_rows import Entry
from tests.clickhouse_http import clickhouse_listening
from tests.security.canary_program import CANARIES, MARKER, PASSWORDS, PLACES
from tests.serving import running_server
from tests.waiting import until

SECRETS = [*PASSWORDS, *(secret for secrets in CANARIES.values() for secret in secrets)]
NOWHERE = "http://127.0.0.1:1"


def run_program(endpoint: str, spool: Path) -> tuple[str, bytes]:
    """The id of its run, and what it said on stderr at the level DEBUG."""
    command = [sys.executable, "-m", "tests.security.canary_program", endpoint, str(spool)]
    ended = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert ended.stdout.split()[1:] == [b"failed", b"as", b"meant"], ended.stderr
    return ended.stdout.split()[0].decode(), ended.stderr


def secrets_in(content: bytes) -> list[str]:
    """Those that stand in it as they are, or as JSON writes them, or as JSON does within JSON."""
    return [secret for secret in SECRETS if any(form.encode() in content for form in forms_of(secret))]


def forms_of(text: str) -> set[str]:
    once = json.dumps(text)[1:-1]
    return {text, once, json.dumps(once)[1:-1]}


def places_in(content: bytes) -> list[str]:
    return [place for place in PLACES if f"{MARKER}-{place}".encode() in content]


def all_files(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def unpacked_requests(path: Path) -> bytes:
    inbox = InboxFile(path, max_bytes=1 << 30)
    entries = list(inbox.read(0, inbox.last_id(), max_bytes=None))
    inbox.close()
    return b"".join(entry.envelope.request for entry in entries if isinstance(entry, Entry))


def everything_the_api_tells(url: str, run_id: str) -> bytes:
    with httpx.Client(base_url=url, timeout=60) as api:
        until(lambda: api.get(f"/api/v1/runs/{run_id}").is_success)
        until(lambda: "backtrail_spans_waiting 0.0" in api.get("/metrics").text)
        answers = [
            api.get("/api/v1/runs"),
            api.get(f"/api/v1/runs/{run_id}"),
            api.get(f"/api/v1/traces/{run_id}"),
            api.get(f"/api/v1/runs/{run_id}/checkpoints"),
            api.get(f"/api/v1/runs/{run_id}/state", params={"at": "failure"}),
            api.post(f"/api/v1/runs/{run_id}/replay-bundle", json={}),
        ]
    assert all(answer.is_success for answer in answers), [answer.text for answer in answers if not answer.is_success]
    return b"\n".join(answer.content for answer in answers)


def everything_in_tables(address: str, database: str) -> bytes:
    url = address.replace("clickhouse://", "http://")
    tables = httpx.post(url, content=f"SELECT name FROM system.tables WHERE database = '{database}' AND total_rows > 0")
    rows = [
        httpx.post(url, content=f"SELECT * FROM {database}.`{table}`", timeout=60).raise_for_status().content
        for table in tables.raise_for_status().text.split()
    ]
    return b"".join(rows)


def test_t42_no_secret_is_in_the_inbox_the_store_the_logs_or_any_answer(engine_folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ExitStack() as stack:
        with clickhouse_listening(engine_folder) as address:
            server = stack.enter_context(running_server(data, "--store", f"{address}/canaries"))
        run_id, said = run_program(server.url, tmp_path / "spool")  # acknowledged, and no store to be written to
        server.kill()
        logged = server.logged()
    waiting = unpacked_requests(data / "inbox.sqlite")

    with (
        clickhouse_listening(engine_folder) as address,
        running_server(data, "--store", f"{address}/canaries") as server,
    ):
        told = everything_the_api_tells(server.url, run_id)
        stored = everything_in_tables(address, "canaries")
        logged += server.logged()

    for kept in (waiting, told, stored):
        assert places_in(kept) == list(PLACES)
    for kept in (waiting, told, stored, said, logged.encode(), all_files(tmp_path)):
        assert secrets_in(kept) == []


def test_t42_no_secret_is_in_the_files_of_a_program_whose_server_is_away(tmp_path: Path) -> None:
    _, said = run_program(NOWHERE, tmp_path)

    assert places_in(all_files(tmp_path)) == list(PLACES)
    assert secrets_in(all_files(tmp_path)) == []
    assert secrets_in(said) == []


@pytest.mark.parametrize(
    "form", [str, lambda secret: json.dumps([secret]), lambda secret: json.dumps(json.dumps(secret))]
)
def test_the_search_would_find_each_secret(form: type[str]) -> None:
    for secret in SECRETS:
        assert secrets_in(form(secret).encode()) == [secret]
