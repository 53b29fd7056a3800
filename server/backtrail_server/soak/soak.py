"""Writes runs for a while, reads each back as soon as it is acknowledged, and all of them again at the end.

    runs → delivery → **soak** → comparison → tally

The server may be restarted meanwhile: what it does not acknowledge is sent again, what it cannot answer is asked again.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import httpx

from backtrail_server.soak.comparison import (
    Json,
    add_sums,
    differences,
    differences_of_summary,
    differences_of_trace,
    empty_sums,
    expected_summary,
    is_whole,
)
from backtrail_server.soak.delivery import Parcel, parcels_of
from backtrail_server.soak.runs import MILLISECOND, RUN_MILLISECONDS, SoakRun, make_run
from backtrail_server.soak.tally import Tally

READABLE_SECONDS = 30  # as long as this an acknowledged run may stay unreadable before it counts as missing
AWAY_SECONDS = 120
PAUSE = 0.02
WORKERS = 4
PAGE = 1000
READ_AGAIN = 300  # runs read by their id once more at the end
PROGRESS_SECONDS = 10


class SoakStopped(Exception):
    """It cannot go on: the server refuses what it is sent for good, or has been away too long."""


class Soak:
    def __init__(
        self, client: httpx.AsyncClient, *, seed: int, seconds: float, say: Callable[[str], None] = print
    ) -> None:
        self.tally = Tally()
        self.service = f"backtrail-soak-{seed}"
        self._client = client
        self._seed = seed
        self._seconds = seconds
        self._say = say
        self._began = time.time_ns() // 1_000_000 * 1_000_000  # filters of time know microseconds
        self._next = 0
        self.is_passed = False

    async def run(self) -> Tally:
        """Raises SoakStopped."""
        progress = asyncio.create_task(self._tell())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(self._work())
            await self._read_all_again()
        except* SoakStopped as stopped:
            raise stopped.exceptions[0] from None
        finally:
            progress.cancel()
        self.is_passed = self.tally.mismatch_count == 0
        return self.tally

    async def _work(self) -> None:
        started = time.monotonic()
        while (due := self._next * RUN_MILLISECONDS / 1e3) < self._seconds:
            run = self._run(self._next)
            self._next += 1
            await asyncio.sleep(started + due - time.monotonic())
            for parcel in parcels_of(run, seed=self._seed, service=self.service):
                await self._deliver(parcel)
            await self._read_as_soon_as_possible(run)
            self.tally.runs += 1

    def _run(self, number: int) -> SoakRun:
        return make_run(self._seed, number, began_unix_nano=self._began)

    # --- writing ------------------------------------------------------------------------------------------

    async def _deliver(self, parcel: Parcel) -> None:
        """Returns when it is acknowledged."""
        answer, _ = await self._ask("POST", "/v1/traces", content=parcel.body, headers=parcel.headers)
        if answer.content:
            raise SoakStopped(f"the server took only a part of a request: {answer.content!r:.200}")
        self.tally.requests += 1
        self.tally.spans += parcel.span_count
        self.tally.sent_again += parcel.again

    async def _ask(self, method: str, path: str, **request: Any) -> tuple[httpx.Response, bool]:
        """The answer, and whether the server was away before it came."""
        gone_at = time.monotonic() + AWAY_SECONDS
        was_away = False
        while True:
            try:
                answer = await self._client.request(method, path, **request)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if answer.is_success or (method == "GET" and answer.status_code == 404):
                    return answer, was_away
                problem = f"{answer.status_code} {answer.text:.200}"
                if answer.status_code not in (429, 502, 503, 504):
                    raise SoakStopped(f"{method} {path} is answered by {problem}")
            if time.monotonic() > gone_at:
                raise SoakStopped(f"the server has been away for {AWAY_SECONDS} s: {problem}")
            was_away = True
            self.tally.refusals += method == "POST"
            await asyncio.sleep(0.2)

    # --- reading ------------------------------------------------------------------------------------------

    async def _read_as_soon_as_possible(self, run: SoakRun) -> None:
        acknowledged = time.monotonic()
        interrupted = False
        while True:
            spans, was_away = await self._trace(run)
            interrupted |= was_away
            if was_away:
                acknowledged = time.monotonic()
            if is_whole(run, spans) or time.monotonic() - acknowledged > READABLE_SECONDS:
                break
            await asyncio.sleep(PAUSE)
        if interrupted:
            self.tally.interruptions += 1
        else:
            self.tally.readable_seconds.append(time.monotonic() - acknowledged)
        await self._compare_by_id(run, spans)

    async def _trace(self, run: SoakRun) -> tuple[list[Json], bool]:
        answer, was_away = await self._ask("GET", f"/api/v1/traces/{run.id}")
        return (answer.json()["spans"] if answer.is_success else []), was_away

    async def _compare_by_id(self, run: SoakRun, spans: list[Json]) -> None:
        answer, _ = await self._ask("GET", f"/api/v1/runs/{run.id}")
        summary = answer.json() if answer.is_success else {}
        found = [*differences_of_trace(run, spans), *differences_of_summary(run, summary)]
        self.tally.compared("by id", 1, found)

    async def _read_all_again(self) -> None:
        """Merges have run by now, and perhaps a restart: by id a sample, by search and by aggregate all."""
        numbers = range(self._next)
        sample = numbers if len(numbers) <= READ_AGAIN else Random(self._seed).sample(numbers, READ_AGAIN)
        for number in sample:
            run = self._run(number)
            spans, _ = await self._trace(run)
            await self._compare_by_id(run, spans)
        await self._read_the_list()
        failed = sorted(run.id for run in map(self._run, numbers) if run.failed)
        found = sorted([summary["run_id"] async for summary in self._listed(status="failed")])
        self.tally.compared("by search", len(failed), differences("failed runs", {"ids": failed}, {"ids": found}))

    async def _read_the_list(self) -> None:
        """A run's start tells its number, so each is made again when it comes along."""
        seen: Counter[int] = Counter()
        expected, found = empty_sums(), empty_sums()
        async for summary in self._listed():
            number = self._number_at(summary["start_time_unix_nano"])
            seen[number] += 1
            add_sums(found, summary)
            wrong = differences_of_summary(self._run(number), summary)
            self.tally.compared("by search", 1, wrong)
        for number in range(self._next):
            add_sums(expected, expected_summary(self._run(number)))
            if seen[number] != 1:
                self.tally.compared("by search", 1, [f"run {self._run(number).id} is listed {seen[number]} times"])
        self.tally.compared("by aggregate", self._next, differences("all runs", expected, found))

    def _number_at(self, start_time_unix_nano: int) -> int:
        return (start_time_unix_nano - self._began) // (RUN_MILLISECONDS * MILLISECOND)

    async def _listed(self, **where: str) -> AsyncIterator[Json]:
        """Newest first, which is checked too."""
        last: int | None = None
        cursor: str | None = None
        while True:
            ours = {"service": self.service, "start": str(self._began), "kind": "run"}
            page_of = {**ours, "limit": str(PAGE), **where}
            answer, _ = await self._ask("GET", "/api/v1/runs", params=page_of | ({"cursor": cursor} if cursor else {}))
            page = answer.json()
            for summary in page["runs"]:
                start = summary["start_time_unix_nano"]
                if last is not None and start > last:
                    self.tally.compared("by search", 0, [f"run {summary['run_id']} is listed after an older one"])
                last = start
                yield summary
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            self._say(self.tally.line())
