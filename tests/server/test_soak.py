"""backtrail-server check --soak: what it writes comes back, also over a restart, and what does not is noticed."""

import asyncio
import json
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backtrail_server.soak import Soak, SoakStopped
from backtrail_server.soak.delivery import parcels_of
from backtrail_server.soak.runs import make_run
from tests.factories import START
from tests.serving import RunningServer, running_server

Damage = Callable[[str, Any], None]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with tempfile.TemporaryDirectory() as data, running_server(Path(data)) as server:
        yield server


class Damaging(httpx.AsyncHTTPTransport):
    """A real server's answers, changed on the way back."""

    def __init__(self, damage: Damage) -> None:
        super().__init__()
        self._damage = damage

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        body = await response.aread()
        if request.method != "GET" or not response.is_success:
            return httpx.Response(response.status_code, content=body)
        answer = json.loads(body)
        self._damage(request.url.path, answer)
        return httpx.Response(200, json=answer)


async def soaked(url: str, seconds: float, *, seed: int = 7, transport: httpx.AsyncBaseTransport | None = None) -> Soak:
    async with httpx.AsyncClient(base_url=url, timeout=60, transport=transport) as client:
        soak = Soak(client, seed=seed, seconds=seconds, say=lambda _: None)
        await soak.run()
        return soak


def wait_for_runs(soak: Soak, count: int) -> None:
    while soak.tally.runs < count:
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("seconds", [4, pytest.param(1800, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)])])
async def test_t13_a_soak_over_a_restart_finds_nothing_missing_and_nothing_wrong(tmp_path: Path, seconds: int) -> None:
    port = free_port()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        soak = Soak(client, seed=13, seconds=seconds, say=lambda _: None)
        with running_server(tmp_path, "--port", str(port)) as server:
            task = asyncio.create_task(soak.run())
            await asyncio.to_thread(wait_for_runs, soak, seconds)
            assert await asyncio.to_thread(server.stop) == 0
        with running_server(tmp_path, "--port", str(port)):
            tally = await task

    assert tally.examples == []
    assert soak.is_passed
    assert tally.runs == seconds * 5
    assert tally.sent_again > 0
    assert tally.read["by id"] > tally.runs
    assert tally.read["by search"] >= tally.runs
    assert tally.read["by aggregate"] == tally.runs
    assert tally.refusals + tally.interruptions > 0  # the restart was felt


def test_a_run_is_made_of_its_seed_and_its_number() -> None:
    first, again = (make_run(1, 3, began_unix_nano=START) for _ in range(2))
    other_seed, other_day = make_run(2, 3, began_unix_nano=START), make_run(1, 3, began_unix_nano=START + 1)

    assert first == again
    assert first.conversation_id == other_day.conversation_id != other_seed.conversation_id
    assert len({run.trace_id for run in (first, other_seed, other_day)}) == 3
    assert parcels_of(first, seed=1, service="s") == parcels_of(again, seed=1, service="s")


def double_a_span(path: str, answer: Any) -> None:
    if path.startswith("/api/v1/traces/"):
        answer["spans"].append(answer["spans"][-1])


def change_an_attribute(path: str, answer: Any) -> None:
    for span in answer.get("spans", ()):
        span["attributes"]["gen_ai.conversation.id"] += " "


def change_a_type(path: str, answer: Any) -> None:
    for span in answer.get("spans", ()):
        if "gen_ai.usage.input_tokens" in span["attributes"]:
            span["attributes"]["gen_ai.usage.input_tokens"] += 0.0


def miscount_a_run(path: str, answer: Any) -> None:
    if path.startswith("/api/v1/runs/"):
        answer["input_tokens"] += 1


def forget_a_run(path: str, answer: Any) -> None:
    if path == "/api/v1/runs":
        del answer["runs"][:1]


def list_a_run_twice(path: str, answer: Any) -> None:
    if path == "/api/v1/runs":
        answer["runs"] += answer["runs"][-1:]


def misprice_the_list(path: str, answer: Any) -> None:
    for run in answer.get("runs", ()):
        run["cost_usd"] += 0.001


@pytest.mark.parametrize(
    ("damage", "way", "words"),
    [
        (double_a_span, "by id", "is there twice"),
        (change_an_attribute, "by id", "gen_ai.conversation.id is"),
        (change_a_type, "by id", "gen_ai.usage.input_tokens is"),
        (miscount_a_run, "by id", "input_tokens is"),
        (forget_a_run, "by search", "is listed 0 times"),
        (list_a_run_twice, "by search", "is listed 2 times"),
        (misprice_the_list, "by aggregate", "all runs: cost_usd is"),
    ],
)
async def test_t13_what_does_not_come_back_as_it_was_written_is_counted_and_named(
    server: RunningServer, damage: Damage, way: str, words: str
) -> None:
    soak = await soaked(server.url, 0.5, transport=Damaging(damage))

    assert not soak.is_passed
    assert soak.tally.mismatches[way] > 0
    assert any(example.startswith(way) and words in example for example in soak.tally.examples), soak.tally.examples


async def test_a_server_that_refuses_for_good_stops_the_soak_with_its_own_words(server: RunningServer) -> None:
    with pytest.raises(SoakStopped, match=r"POST /v1/traces is answered by 404 .*nothing is served at"):
        await soaked(f"{server.url}/nowhere", 0.5)
