"""The demo is the first thing a newcomer runs; its exit code says that everything it claims was checked."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_fails_a_run_replays_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stderr == ""
    assert max(map(len, demo.stdout.splitlines())) <= 100
    assert list(tmp_path.iterdir()) == []
