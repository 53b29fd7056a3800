"""python -m backtrail is backtrail."""

import sys

from backtrail.cli import main

sys.exit(main())
