"""`backtrail-server check --soak SECONDS`: runs whose every byte is known are written and read back.

    commands.check → **soak**: runs (what is written) → delivery (how) → reading (what comes back) → comparison → tally

A seed and a number make a run, so what must come back is not kept anywhere but made again.
"""

from backtrail_server.soak.soak import Soak, SoakStopped
from backtrail_server.soak.tally import Tally

__all__ = ["Soak", "SoakStopped", "Tally"]
