"""kill -9 of a program again and again while its server is away: what it had on its disk arrives, each span once."""

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import backtrail
from tests.tracer.receiver import Receiver, receiving

ROUNDS = 8
PROGRAM = """
import sys, backtrail
from backtrail._spans.recorder import current_recorder
backtrail.configure("http://127.0.0.1:1", spool_dir=sys.argv[1])
@backtrail.step
def work(name): return name
@backtrail.run
def main():
    for number in range(1_000_000):
        name = f"{sys.argv[2]}-{number}"
        work(name)
        if current_recorder().secure(10):
            print(name, flush=True)
main()
"""


def killed_after(seconds: float, spool: Path, name: str) -> set[str]:
    """The inputs of the steps of which the program said that they are safe, before it was killed."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM, spool, name], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        lines = [first, *process.stdout]
        timer.cancel()
    # The last line may be torn.
    return {line.strip() for line in lines if line.endswith("\n")}


def arrived(receiver: Receiver) -> list[str]:
    return [
        one.value.string_value
        for span in receiver.spans
        if span.name == "work"
        for one in span.attributes
        if one.key == "backtrail.step.result"
    ]


def test_after_eight_kills_everything_that_was_safe_arrives_once(tmp_path: Path) -> None:
    rnd = random.Random(7)
    safe: set[str] = set()
    for number in range(ROUNDS):
        safe |= killed_after(rnd.uniform(0.01, 0.4), tmp_path, str(number))

    with receiving() as receiver:
        backtrail.configure(receiver.url, spool_dir=tmp_path)
        deadline = time.monotonic() + 30
        while list(tmp_path.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        backtrail.shutdown()
        results = [result.strip('"') for result in arrived(receiver)]

    assert len(safe) > ROUNDS
    assert safe <= set(results)
    assert len(results) == len(set(results))
