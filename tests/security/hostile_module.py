"""Named by hostile recordings: whoever imports this leaves a trace, which the tests look for."""

import os
from pathlib import Path

Path(os.environ["BACKTRAIL_TEST_CANARY"]).touch()


class Order:
    """What a recording would like to have made."""
