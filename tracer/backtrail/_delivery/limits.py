"""How much may wait for the server, and what happens beyond: light to import, since `configure()` names it.

configure → **limits** → queue, spool
"""

from typing import Literal

OnFull = Literal["mark", "block"]

DEFAULT_MAX_QUEUE_BYTES = 64 << 20
MIN_QUEUE_BYTES = 64 << 10
DEFAULT_MAX_SPOOL_BYTES = 1 << 30
