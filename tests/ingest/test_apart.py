"""Work in threads: projects take turns, small never waits for large, and nobody can heap it up."""

import asyncio
import threading

from backtrail_ingest.requests.apart import SMALL_BYTES, Apart, Lane

PATIENCE = 20


async def test_t25_projects_take_turns_however_much_one_of_them_sends() -> None:
    lane, has_begun, may_go_on, order = Lane(), threading.Event(), threading.Event(), list[str]()

    def work(name: str) -> None:
        order.append(name)
        has_begun.set()
        assert may_go_on.wait(PATIENCE)

    noisy = [asyncio.create_task(lane.run("noisy", work, f"noisy {number}")) for number in range(4)]
    await asyncio.to_thread(has_begun.wait, PATIENCE)
    quiet = asyncio.create_task(lane.run("quiet", work, "quiet"))
    await asyncio.sleep(0)
    may_go_on.set()
    await asyncio.gather(quiet, *noisy)

    assert order[0] == "noisy 0"
    assert order.index("quiet") <= 2
    assert sorted(order) == ["noisy 0", "noisy 1", "noisy 2", "noisy 3", "quiet"]


async def test_what_is_small_does_not_wait_for_what_is_large() -> None:
    apart, may_go_on = Apart(), threading.Event()
    large = asyncio.create_task(apart.lane(SMALL_BYTES + 1).run("default", may_go_on.wait, PATIENCE))

    small = await asyncio.wait_for(apart.lane(SMALL_BYTES).run("default", str, 1), PATIENCE)

    assert small == "1"
    assert not large.done()
    may_go_on.set()
    await large
