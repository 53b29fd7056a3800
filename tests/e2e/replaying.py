"""What a replayed program shares with its test, and the wait for a run to be readable."""

import asyncio
import time

from backtrail import Client
from backtrail.errors import ApiError


class Log:
    """Which bodies ran since it was last read, and what the test changes between record and replay."""

    def __init__(self) -> None:
        self.run_id = ""
        self.broken = True
        self._ran: list[str] = []

    def ran(self, name: str) -> None:
        self._ran.append(name)

    def mended(self) -> str:
        """Mends the program and forgets what ran; the id of the run that broke."""
        self.broken = False
        self.read()
        return self.run_id

    def read(self) -> list[str]:
        ran, self._ran = self._ran, []
        return ran


async def settled(client: Client, run_id: str, seconds: float = 30) -> None:
    """A run that has just ended is readable a moment after it was acknowledged."""
    deadline = time.monotonic() + seconds
    seen: object = None
    while time.monotonic() < deadline:
        try:
            seen = client.get_replay_bundle(run_id).completeness
            if seen["complete"]:
                return
        except ApiError as error:
            seen = error
        await asyncio.sleep(0.05)
    raise AssertionError(f"run {run_id} did not become readable: {seen}")
