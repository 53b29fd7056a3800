"""The other side of the ingest measurement: a process that holds encoded bodies and pushes them over HTTP.

    python -m bench.sender URL full|light PASSES [SPANS_PER_SECOND]

It says `ready` when every body is encoded, starts at a line on stdin, and ends with one line of JSON.
"""

import http.client
import json
import queue
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench.otlp_bodies import SPANS_PER_BODY, Kind, make_bodies

CONNECTIONS = 4
HEADERS = {"content-type": "application/x-protobuf"}


@dataclass
class Sent:
    latencies: list[float] = field(default_factory=list)
    refusals: int = 0


def encode(kind: Kind, passes: int) -> list[bytes]:
    rnd = random.Random()
    bodies = make_bodies(kind)
    return [body.with_new_ids(rnd) for _ in range(passes) for body in bodies]


def send_all(url: str, bodies: list[bytes], spans_per_second: float) -> Sent:
    waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
    start = time.perf_counter()
    for number, body in enumerate(bodies):
        due = start + number * SPANS_PER_BODY / spans_per_second if spans_per_second else start
        waiting.put((due, body))
    sent = Sent()
    threads = [threading.Thread(target=send_some, args=[url, waiting, sent]) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sent


def send_some(url: str, waiting: queue.SimpleQueue[tuple[float, bytes]], sent: Sent) -> None:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0)
    while True:
        try:
            due, body = waiting.get_nowait()
        except queue.Empty:
            connection.close()
            return
        time.sleep(max(0.0, due - time.perf_counter()))
        while not is_acknowledged(connection, body, sent):
            pass


def is_acknowledged(connection: http.client.HTTPConnection, body: bytes, sent: Sent) -> bool:
    began = time.perf_counter()
    connection.request("POST", "/v1/traces", body=body, headers=HEADERS)
    answer = connection.getresponse()
    answer.read()
    if answer.status == 503:
        sent.refusals += 1
        time.sleep(float(answer.headers["retry-after"]))
        return False
    assert answer.status == 200, answer.status
    sent.latencies.append(time.perf_counter() - began)
    return True


def main() -> None:
    url, kind, passes, *rest = sys.argv[1:]
    bodies = encode("light" if kind == "light" else "full", int(passes))
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    sent = send_all(url, bodies, float(rest[0]) if rest else 0)
    summary = {
        "spans": len(bodies) * SPANS_PER_BODY,
        "bytes": sum(map(len, bodies)),
        "seconds": time.perf_counter() - began,
        "latencies": sorted(sent.latencies),
        "refusals": sent.refusals,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
