"""The examples do what their first lines say, without a network, and leave nothing behind."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SEEN = {
    "typed_contexts": [
        "stopped: zoe may not come in",
        "home/a.tmp: ada of acme may not delete",
        "home/old/1999: left, nobody may go deeper than 1",
        "home: backed up within 15 s",
        "home/a.tmp: left, the time is over",
        "given up: retry 1 was the last of 1",
        "depth 1 of 1, task",
    ],
    "hand_off": [
        "find you the right desk",
        "R-7-2 of Ada before me; it is message 2",
        "R-7-2 of Ada before me; it is message 3",
        '"services":["register"]',
        '"current_agent":"billing"',
        "triage > billing",
    ],
    "by_hand": [
        "first night: the mail server is down",
        "second night, replaying: True, state: {'ada': 12, 'robin': 20, 'eve': 12}",
        "asked in both: {'clock': 3, 'mail': 4}",
        "invoices: failed, 4 steps, 0 from the record",
        "invoices: completed, 6 steps, 3 from the record",
        "kept beside the state: {'by': 'first night'}",
    ],
}


@pytest.mark.parametrize("name", SEEN)
def test_an_example_does_what_it_says_and_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    example = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"examples.{name}"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert (example.returncode, example.stderr) == (0, ""), example.stdout + example.stderr
    places = [example.stdout.find(line) for line in SEEN[name]]
    assert -1 not in places, example.stdout
    assert places == sorted(places)
    assert list(tmp_path.iterdir()) == []
