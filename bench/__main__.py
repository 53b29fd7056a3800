"""`make bench`: every measurement, one after the other, each in a process of its own.

Each prints one table for the terminal; README.md says what was seen on which machine.
"""

import os
import platform
import subprocess
import sys

MEASUREMENTS = ["bench.ingest", "bench.trace_open", "bench.step_overhead"]


def main() -> int:
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}")
    failed = []
    for module in MEASUREMENTS:
        print(f"\n== {module}", flush=True)
        if subprocess.run([sys.executable, "-m", module], check=False).returncode != 0:
            failed.append(module)
    if failed:
        print(f"\nNot measured: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
