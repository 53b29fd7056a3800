"""One run over several processes is one run in the server: one tree, one lineage, one state."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

import backtrail
from backtrail import Client, RunContext
from tests.e2e.replaying import Log, settled
from tests.serving import RunningServer, first_line
from tests.waiting import until


@contextmanager
def service(server: RunningServer, *next_url: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.e2e.remote_service", server.url, *next_url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield first_line(process).strip()
    finally:
        process.terminate()
        process.wait(15)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="module")
def services(server: RunningServer) -> Iterator[str]:
    """The URL of the first of two services; the first calls the second."""
    with service(server) as second, service(server, second) as first:
        yield first


def asking(url: str, path: str, log: Log) -> Any:
    @backtrail.step
    def post(path: str) -> str:
        log.ran("post")
        answered = httpx.post(f"{url}{path}", params={"order_id": "a-1"}, headers=backtrail.inject({}))
        return answered.raise_for_status().text

    @backtrail.agent
    def lead(path: str) -> str:
        return post(path)

    @backtrail.step
    def confirm(answer: str) -> str:
        log.ran("confirm")
        if log.broken:
            raise ConnectionError("down")
        return answer

    @backtrail.run
    def main(query: str, ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        ctx.set_state("asked", 1)
        answer = lead(path)
        ctx.set_state("asked", 2)
        return confirm(answer)

    return main


def recorded(client: Client, log: Log, names: set[str]) -> dict[str, Any]:
    """The run as the server tells it, when all its processes have delivered."""
    backtrail.flush()
    for _ in range(600):
        run: dict[str, Any] = json.loads(client.request("GET", f"/api/v1/runs/{log.run_id}"))
        whole = all(node["status"] != "running" for node in walk(run["tree"]))
        if whole and names <= {node["name"] for node in walk(run["tree"])}:
            return run
        time.sleep(0.05)
    raise AssertionError(sorted(node["name"] for node in walk(run["tree"])))


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node["children"]:
        yield from walk(child)


def ours(node: dict[str, Any]) -> list[dict[str, Any]]:
    """What is below, without the spans that the web framework makes of its own once there is a provider."""
    return [each for child in node["children"] for each in (ours(child) if child["kind"] == "span" else [child])]


def only(node: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        (node,) = [child for child in ours(node) if child["name"] == name]
    return node


def test_an_agent_behind_http_and_the_one_behind_it_are_in_the_callers_run(
    client: Client, services: str, log: Log
) -> None:
    log.broken = False
    asked = asking(services, "/answer", log)("Where is it?")
    assert asked == '"Where is it? a-1 is on its way"'

    run = recorded(client, log, {"invoke_agent answer", "invoke_agent serve", "confirm"})

    answering = only(run["tree"], "invoke_agent lead", "post", "invoke_agent answer")
    serving = only(answering, "invoke_agent serve")
    assert [child["name"] for child in ours(answering)] == ["look_up", "invoke_agent serve"]
    assert only(serving, "look_up")["status"] == "completed"
    trace = client.trace(log.run_id)
    lead, answer, serve = (
        next(span for span in trace.spans if span.name == f"invoke_agent {name}")
        for name in ("lead", "answer", "serve")
    )
    tasks = [span.attributes["backtrail.task.id"] for span in (lead, answer, serve)]
    assert [span.attributes["backtrail.depth"] for span in (lead, answer, serve)] == [0, 1, 2]
    assert serve.attributes["backtrail.task.chain"] == tasks[:2]
    assert {span.attributes["backtrail.query"] for span in trace.spans} == {"Where is it?"}
    assert len({span.attributes.get("backtrail.process") for span in trace.spans} - {None}) == 3
    bundle = client.get_replay_bundle(log.run_id)
    assert bundle.completeness["complete"]
    values = client.get_state(log.run_id).values
    assert values.pop("run") == {"asked": 2}
    assert list(values.values()) == [{"seen": ["a-1", "done"]}]


def test_a_streamed_answer_is_recorded_to_its_end(client: Client, services: str, log: Log) -> None:
    log.broken = False
    asked = asking(services, "/stream", log)("Where is it?")
    assert asked.splitlines() == ["a-1-a is on its way", "a-1-b is on its way"]

    run = recorded(client, log, {"look_up", "confirm"})

    post = only(run["tree"], "invoke_agent lead", "post")
    assert [child["name"] for child in ours(post)] == ["look_up", "look_up"]


def test_a_service_that_is_told_to_end_delivers_what_it_recorded(client: Client, server: RunningServer) -> None:
    with service(server) as url:
        httpx.post(f"{url}/serve", params={"order_id": "the last one"})

    until(lambda: any(run.query == "the last one" for run in client.runs().runs))


async def test_a_replay_answers_the_call_and_all_it_caused_from_the_record(
    client: Client, services: str, log: Log
) -> None:
    program = asking(services, "/answer", log)
    with pytest.raises(ConnectionError):
        program("Where is it?")
    recorded(client, log, {"invoke_agent answer", "invoke_agent serve", "confirm"})
    await settled(client, log.run_id)

    result = await client.replay(log.mended(), program)

    assert result.value == '"Where is it? a-1 is on its way"'
    assert log.read() == ["confirm"]
    assert (result.hits, result.live, result.divergences) == (1, 1, [])


async def test_steps_on_the_threads_of_a_pool_get_their_own_answers(client: Client, log: Log) -> None:
    @backtrail.step
    def ask(question: str) -> float:
        log.ran("ask")
        time.sleep(random.random() / 100)
        return random.random()

    @backtrail.step
    def confirm(answers: list[float]) -> list[float]:
        log.ran("confirm")
        if log.broken:
            raise ConnectionError("down")
        return answers

    answered: list[float] = []

    @backtrail.run
    def main(query: str, ctx: RunContext) -> list[float]:
        log.run_id = ctx.run.run_id
        with ThreadPoolExecutor(4) as executor:
            answered[:] = executor.map(ask, ["same"] * 20)
        return confirm(list(answered))

    with pytest.raises(ConnectionError):
        main("all at once")
    backtrail.flush()
    first = list(answered)
    await settled(client, log.run_id)

    result = await client.replay(log.mended(), main)

    assert result.value == first
    assert log.read() == ["confirm"]
    assert (result.hits, result.live, result.divergences) == (20, 1, [])
