"""Runs that were redacted when they were recorded: what a replay still can do, and how it says what it cannot."""

import json
from collections.abc import Callable
from typing import Any

import pytest

import backtrail
from backtrail import Client, RunContext
from backtrail.errors import ReplayError, ResultNotReplayableError
from tests.e2e.replaying import Log, settled
from tests.serving import RunningServer


def support(log: Log) -> Callable[..., Any]:
    @backtrail.step
    async def find(mail: str) -> int:
        log.ran(f"find {mail}")
        return len(mail)

    @backtrail.step
    async def book(number: int, api_key: str) -> str:
        log.ran("book")
        if log.broken:
            raise RuntimeError("down")
        return f"booked {number}"

    @backtrail.run
    async def handle(query: str, limit: int, ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        found = await find(ctx.query)
        return await book(found, "hunter2")

    return handle


async def broken(client: Client, log: Log, handle: Callable[..., Any]) -> str:
    with pytest.raises(RuntimeError, match="down"):
        await handle("ada@example.com", 3)
    backtrail.flush()
    await settled(client, log.run_id)
    return log.mended()


async def test_an_argument_that_was_redacted_is_given_again(client: Client, log: Log) -> None:
    handle = support(log)
    run_id = await broken(client, log, handle)

    result = await client.replay(run_id, handle, inputs={"query": "ada@example.com"})

    assert (result.value, result.hits, result.live, result.divergences) == ("booked 15", 1, 1, [])
    assert log.read() == ["book"]


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({}, r'query of run .* was redacted when it was recorded\. Give it again: replay\(…, inputs=\{"query": …\}\)'),
        ({"query": "bob@example.com"}, "query given by inputs= is not what run"),
        ({"query": "ada@example.com", "limit": 4}, "limit of run .* was not"),
    ],
)
async def test_what_is_given_again_has_to_be_all_that_was_redacted_and_be_what_it_was(
    client: Client, log: Log, inputs: dict[str, Any], says: str
) -> None:
    handle = support(log)
    run_id = await broken(client, log, handle)

    with pytest.raises(ReplayError, match=says):
        await client.replay(run_id, handle, inputs=inputs)
    assert log.read() == []


async def test_a_redacted_answer_is_refused_or_asked_for_again(client: Client, log: Log) -> None:
    @backtrail.step
    async def look_up(name: str) -> str:
        log.ran("look_up")
        return f"{name}@example.com"

    @backtrail.step
    async def refuse(name: str) -> None:
        log.ran("refuse")
        raise LookupError(f"no {name}@example.com")

    @backtrail.run
    async def handle(name: str, ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        mail = await look_up(name)
        try:
            await refuse(name)
        except LookupError as error:
            return f"{mail}: {error}"
        return mail

    expected = "ada@example.com: 'no ada@example.com'"
    assert await handle("ada") == expected.replace("'", "")
    run_id = log.mended()

    with pytest.raises(ResultNotReplayableError, match="confidential") as caught:
        await client.replay(run_id, handle)
    assert caught.value.reason == "redacted"
    result = await client.replay(run_id, handle, on_undecodable="live")
    assert result.value == expected.replace("'", "")
    assert log.read() == ["look_up", "refuse"]


async def test_a_replay_under_other_rules_says_so(client: Client, log: Log, server: RunningServer) -> None:
    handle = support(log)
    run_id = await broken(client, log, handle)

    backtrail.configure(endpoint=server.url, service_name="replay-tests", redact=["email"])
    result = await client.replay(run_id, handle, inputs={"query": "ada@example.com"})

    kinds = [(divergence.kind, divergence.detail.partition(",")[0]) for divergence in result.divergences]
    assert ("redaction_changed", "recorded with redact=private_key") in kinds


async def test_hash_keys_have_to_agree(client: Client, log: Log, server: RunningServer) -> None:
    handle = support(log)
    backtrail.configure(endpoint=server.url, service_name="replay-tests", hash_key="one")
    run_id = await broken(client, log, handle)

    backtrail.configure(endpoint=server.url, service_name="replay-tests", hash_key=b"two")
    with pytest.raises(ReplayError, match="recorded with another hash_key"):
        await client.replay(run_id, handle, inputs={"query": "ada@example.com"})
    backtrail.configure(endpoint=server.url, service_name="replay-tests")
    with pytest.raises(ReplayError, match="recorded with a hash_key"):
        await client.replay(run_id, handle, inputs={"query": "ada@example.com"})
    backtrail.configure(endpoint=server.url, service_name="replay-tests", hash_key=b"one")
    result = await client.replay(run_id, handle, inputs={"query": "ada@example.com"})

    assert (result.hits, result.live, result.divergences) == (1, 1, [])


async def test_state_is_whole_while_the_program_runs_and_is_folded_with_keyed_hashes(
    client: Client, log: Log, server: RunningServer
) -> None:
    @backtrail.run
    async def handle(ctx: RunContext) -> list[str]:
        log.run_id = ctx.run.run_id
        for name in ("ada", "bob"):
            ctx.set_state("mails", [*ctx.get_state("mails", []), f"{name}@example.com"])
        found: list[str] = ctx.get_state("mails")
        return found

    backtrail.configure(endpoint=server.url, service_name="replay-tests", hash_key="one")
    assert await handle() == ["ada@example.com", "bob@example.com"]
    backtrail.flush()
    await settled(client, log.run_id)

    mails = client.get_state(log.run_id).values["run"]["mails"]
    assert [mail["$t"] for mail in mails] == ["redacted", "redacted"]


async def test_a_run_of_which_only_metadata_was_recorded_has_a_tree_and_sizes_and_is_not_replayed(
    client: Client, log: Log, server: RunningServer
) -> None:
    @backtrail.step
    async def find(words: str, ctx: RunContext) -> str:
        ctx.set_state("seen", [words])
        ctx.set_state("seen", [words, words])
        return words

    @backtrail.run
    async def handle(query: str, ctx: RunContext) -> str:
        log.run_id = ctx.run.run_id
        return await find(query)

    backtrail.configure(endpoint=server.url, service_name="replay-tests", capture="metadata")
    assert await handle("grim tale") == "grim tale"
    backtrail.flush()
    await settled(client, log.run_id)

    run = client.request("GET", f"/api/v1/runs/{log.run_id}")
    trace = client.request("GET", f"/api/v1/traces/{log.run_id}")
    assert json.loads(run)["steps_total"] == 1
    assert [place.key for place in client.get_state(log.run_id).truncated] == ["seen"]
    assert b"grim tale" not in run + trace
    for inputs in ({}, {"query": "grim tale"}):
        with pytest.raises(ReplayError, match="does not hold the run's input"):
            await client.replay(log.run_id, handle, inputs=inputs)
