"""`backtrail-server renormalise`: after the rules have changed, beside a server that serves or without one."""

import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from backtrail_store import open_store
from tests.factories import SECOND, TRACE_ID, batch_of, otlp_request, plain_span, span_id
from tests.serving import running_server
from tests.store.test_renormalisation import forget_rules

RUN = TRACE_ID.hex()
NOW = time.time_ns()
DAY = 24 * 3600 * SECOND


def renormalise(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backtrail_server", "renormalise", "--data", str(data), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What an older version stored: three calls on three days, of whose attributes it understood nothing."""
    data = tmp_path / "data"
    made = (
        "import sys; from tests.server.test_renormalise import store_under_older_rules; "
        "store_under_older_rules(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", made, str(data)], check=True, timeout=120)
    return data


def store_under_older_rules(data: str) -> None:
    """In a process of its own: an engine holds one folder until its process ends."""
    spans = [
        plain_span(f"{n}", id_=span_id(n), start=NOW - n * DAY, attributes={"gen_ai.usage.input_tokens": n})
        for n in (1, 2, 3)
    ]
    Path(data).mkdir()
    with open_store(f"chdb://{data}/clickhouse") as store:
        store.migrate()
        forget_rules(store)
        store.insert(batch_of(otlp_request(*spans), received=NOW))


def tokens(data: Path) -> dict[str, int | None]:
    with running_server(data) as server:
        spans = httpx.get(f"{server.url}/api/v1/traces/{RUN}").json()["spans"]
    return {span["name"]: span["input_tokens"] for span in spans}


def test_stored_spans_are_read_anew_beside_a_server_with_a_bar_that_shows_how_far_it_is(data: Path) -> None:
    with running_server(data):
        done, again = renormalise(data), renormalise(data)

    assert (done.returncode, done.stdout) == (0, "3 spans read anew\n"), done.stderr
    assert re.search(r"default, .* 100%", done.stderr)
    assert again.stdout == "nothing to do: the columns of all spans are what this version's rules make of them\n"
    assert tokens(data) == {"1": 1, "2": 2, "3": 3}


def test_without_a_server_it_reads_the_folder_itself_and_only_what_began_since(data: Path) -> None:
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((NOW - 2 * DAY) // SECOND))

    done = renormalise(data, "--since", since)

    assert (done.returncode, done.stdout) == (0, "2 spans read anew\n"), done.stderr
    assert tokens(data) == {"1": 1, "2": 2, "3": None}
    assert renormalise(data).stdout == "1 span read anew\n"


def test_a_moment_that_is_none_is_named(tmp_path: Path) -> None:
    refused = renormalise(tmp_path, "--since", "yesterday")

    assert refused.returncode == 2
    assert "--since: 'yesterday' is neither RFC 3339 nor a unix time" in refused.stderr
