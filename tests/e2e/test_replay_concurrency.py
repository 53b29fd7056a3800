"""Parallel work answers from the record exactly: the same answers, the same order, nothing run twice.

Every test makes a hundred trials with latencies of chance: ten runs of ten trials at once, all recorded side by side
and then all replayed side by side.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import backtrail
from backtrail import Client, ReplayResult, RunContext

RUNS = 10
TRIALS_PER_RUN = 10

Trial = Callable[[], Awaitable[Any]]


class Trials:
    """What the runs came to, by the number each was called with, and how many bodies of steps ran."""

    def __init__(self) -> None:
        self.outcomes: list[Any] = []
        self.live = 0
        self._run_ids: dict[int, str] = {}

    def handle(self, trial: Trial) -> Callable[[int], Awaitable[list[Any]]]:
        @backtrail.run
        async def handle(number: int, ctx: RunContext) -> list[Any]:
            self._run_ids[number] = ctx.run.run_id
            return await asyncio.gather(*(trial() for _ in range(TRIALS_PER_RUN)))

        return handle

    async def record(self, trial: Trial) -> None:
        handle = self.handle(trial)
        self.outcomes = await asyncio.gather(*(handle(number) for number in range(RUNS)), return_exceptions=True)
        self.live = 0

    async def replay(self, client: Client, trial: Trial) -> list[ReplayResult[Any]]:
        handle, recorded = self.handle(trial), dict(self._run_ids)
        return await asyncio.gather(*(client.replay(recorded[number], handle) for number in range(RUNS)))

    def assert_exact(self, results: list[ReplayResult[Any]]) -> None:
        assert [result.value for result in results] == self.outcomes
        assert self.live == 0
        assert [result.divergences for result in results if result.divergences] == []


async def short_sleep() -> None:
    await asyncio.sleep(random.random() / 200)


async def test_ten_equal_calls_at_once_get_their_own_answers(client: Client) -> None:
    trials = Trials()

    @backtrail.step
    async def ask(question: str) -> float:
        trials.live += 1
        await short_sleep()
        return random.random()

    async def trial() -> list[float]:
        return await asyncio.gather(*(ask("same") for _ in range(10)))

    await trials.record(trial)
    trials.assert_exact(await trials.replay(client, trial))


async def test_a_branch_that_failed_runs_alone_and_takes_nothing_from_its_siblings(client: Client) -> None:
    trials = Trials()
    seen: list[Any] = []
    broken = True

    @backtrail.step
    async def think(prompt: str) -> float:
        trials.live += 1
        if asyncio.current_task().get_name() == "branch 2":  # type: ignore[union-attr]
            if broken:
                raise ConnectionError("branch 2 has no network")
        else:
            await short_sleep()
        return random.random()

    async def branch() -> list[float]:
        return [await think("same prompt") for _ in range(3)]

    async def trial() -> list[Any]:
        tasks = [asyncio.create_task(branch(), name=f"branch {n}") for n in range(6)]
        values = await asyncio.gather(*tasks, return_exceptions=True)
        seen.append([value for value in values if isinstance(value, list)])
        for value in values:
            if isinstance(value, BaseException):
                raise value
        return values

    async def settled_trial() -> list[Any]:
        # One failing trial must not cut the others of its run short.
        return (await asyncio.gather(trial(), return_exceptions=True))[0]  # type: ignore[return-value]

    async def all_or_none() -> list[Any]:
        value = await settled_trial()
        await asyncio.sleep(0.05)
        if isinstance(value, BaseException):
            raise value
        return value

    await trials.record(all_or_none)
    assert {type(outcome) for outcome in trials.outcomes} == {ConnectionError}
    kept, broken = seen.copy(), False
    results = await trials.replay(client, all_or_none)

    assert {(result.hits, result.live) for result in results} == {(15 * TRIALS_PER_RUN, 3 * TRIALS_PER_RUN)}
    assert trials.live == 3 * TRIALS_PER_RUN * RUNS
    again = [value[:2] + value[3:] for result in results for value in result.value]
    assert sorted(again) == sorted(kept)


async def test_as_completed_gives_the_recorded_order(client: Client) -> None:
    trials = Trials()

    @backtrail.step
    async def ask(n: int) -> int:
        trials.live += 1
        await short_sleep()
        return n

    async def trial() -> list[int]:
        return [await next_one for next_one in asyncio.as_completed([ask(n) for n in range(8)])]

    await trials.record(trial)
    orders = {tuple(order) for outcome in trials.outcomes for order in outcome}
    assert len(orders) > RUNS * TRIALS_PER_RUN // 2
    trials.assert_exact(await trials.replay(client, trial))


async def test_a_race_has_the_recorded_winner_and_its_losers_never_start(client: Client) -> None:
    trials = Trials()

    @backtrail.step
    async def ask(n: int) -> int:
        trials.live += 1
        await short_sleep()
        return n

    async def trial() -> list[int]:
        racing = [asyncio.create_task(ask(n)) for n in range(4)]
        done, losers = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
        for loser in losers:
            loser.cancel()
        await asyncio.gather(*losers, return_exceptions=True)
        return [task.result() for task in racing if task in done]

    await trials.record(trial)
    trials.assert_exact(await trials.replay(client, trial))


async def test_agents_of_one_name_keep_their_answers_and_their_state_apart(client: Client) -> None:
    trials = Trials()

    @backtrail.tool
    async def look_up(word: str) -> float:
        trials.live += 1
        await short_sleep()
        return random.random()

    @backtrail.agent(name="researcher")
    async def research(depth: int, me: backtrail.AgentContext) -> list[Any]:
        found: list[Any] = [await look_up("same")]
        me.set_state("found", found)
        if depth:
            found.append(await research(depth - 1))
        found.append(await look_up("same"))
        return [*found, me.get_state("found")]

    async def trial() -> list[Any]:
        return list(await asyncio.gather(research(1), research(0), research(1)))

    await trials.record(trial)
    trials.assert_exact(await trials.replay(client, trial))


async def test_untraced_waits_and_foreign_tasks_between_branches_change_nothing(client: Client) -> None:
    trials = Trials()

    @backtrail.step
    async def ask(question: str) -> float:
        trials.live += 1
        await short_sleep()
        return random.random()

    async def branch() -> float:
        await short_sleep()
        return await ask("same")

    async def of_a_library() -> None:
        await asyncio.sleep(0)

    async def trial() -> list[float]:
        branches = []
        for _ in range(6):
            branches.append(asyncio.create_task(branch()))
            for _ in range(random.randrange(3)):
                asyncio.create_task(of_a_library())  # noqa: RUF006
        return await asyncio.gather(*branches)

    await trials.record(trial)
    trials.assert_exact(await trials.replay(client, trial))


async def test_equal_calls_on_many_threads_get_their_own_answers(client: Client) -> None:
    trials = Trials()

    @backtrail.step
    def ask(question: str) -> float:
        trials.live += 1
        time.sleep(random.random() / 500)
        return random.random()

    async def trial() -> list[float]:
        ctx = backtrail.get_current_run_context()
        return list(await asyncio.gather(*(ctx.run_in_thread(ask, "same") for _ in range(5))))

    await trials.record(trial)
    trials.assert_exact(await trials.replay(client, trial))
