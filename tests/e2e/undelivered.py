"""A program whose server is not there, or that is about to be killed; the tests start it and ask the server afterwards.

python -m tests.e2e.undelivered ENDPOINT STEPS HOW [SPOOL]
"""

import os
import sys
import time

import backtrail
from backtrail._delivery.delivery import OtlpDelivery
from backtrail._delivery.processor import Processor
from backtrail._spans.recorder import Recorder, current_recorder, set_current_recorder

HEARTBEAT = 0.5


@backtrail.step
def work(number: int) -> int:
    return number


@backtrail.step
def wait_to_be_killed() -> None:
    print("waiting", flush=True)
    time.sleep(600)


@backtrail.run
def handle(steps: int, how: str) -> int:
    print(backtrail.get_current_run_context().run.run_id, flush=True)
    for number in range(steps):
        work(number)
    if how == "killed":
        # What the program has on the disk is what the server has to tell of afterwards.
        current_recorder().secure(10)
        os.kill(os.getpid(), 9)
    if how == "waiting":
        wait_to_be_killed()
    return steps


if __name__ == "__main__":
    endpoint, count, end = sys.argv[1:4]
    if end == "waiting":
        delivery = OtlpDelivery(f"{endpoint}/v1/traces", {})
        set_current_recorder(Recorder(sink=Processor(delivery, heartbeat=HEARTBEAT)))
    else:
        backtrail.configure(endpoint, service_name="undelivered", spool_dir=sys.argv[4])
    handle(int(count), end)
