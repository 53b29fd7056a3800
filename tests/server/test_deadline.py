"""Told to end, the process ends, whatever hangs in it."""

import subprocess
import sys

HANGING = """
import threading
from backtrail_server import deadline

deadline.ENDING_SECONDS = 0.2
deadline.Deadline().start()
threading.Thread(target=threading.Event().wait, name="never done").start()
"""


def test_t12_a_thread_that_hangs_does_not_outlive_the_deadline() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 0
    assert "ended without waiting longer (Thread-1, never done)" in ended.stderr
