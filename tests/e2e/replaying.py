"""What a replayed program shares with its test, and the wait for a run to be readable."""

import asyncio

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


async def settled(client: Client, run_id: str) -> None:
    """A run that has just ended is readable a moment after it was acknowledged."""
    for _ in range(50):
        try:
            bundle = client.get_replay_bundle(run_id)
        except ApiError:
            bundle = None
        if bundle is not None and bundle.completeness["complete"]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"run {run_id} did not become readable")
