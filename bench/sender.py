"""The other side of the ingest measurements: a process that holds encoded bodies and pushes them over HTTP.

    python -m bench.sender URL KIND PASSES [--bodies N] [--connections N] [--spans-per-second N] [--header NAME=VALUE]

It says `ready` when every body is encoded, starts at a line on stdin, and ends with one line of JSON.
"""

import argparse
import gzip
import http.client
import json
import queue
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench.otlp_bodies import KINDS, SPANS_PER_BODY, Kind, make_bodies

CONNECTIONS = 4
LATER = (429, 503)
OVERLOADED = 0.5  # seconds to wait where the answer does not say


@dataclass
class Sent:
    latencies: list[float] = field(default_factory=list)
    refusals: int = 0
    failures: int = 0


def encode(kind: Kind, passes: int) -> list[bytes]:
    rnd = random.Random()
    made = make_bodies(kind)
    bodies = [body.with_new_ids(rnd) for _ in range(passes) for body in made]
    return [gzip.compress(body) for body in bodies] if kind == "stock-gzip" else bodies


def headers_of(kind: Kind, others: list[str]) -> dict[str, str]:
    headers = {"content-type": "application/x-protobuf"}
    if kind == "stock-gzip":
        headers["content-encoding"] = "gzip"
    return headers | {name: value for name, _, value in (other.partition("=") for other in others)}


def send_all(
    url: str, bodies: list[bytes], headers: dict[str, str], *, connections: int, spans_per_second: float
) -> Sent:
    waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
    start = time.perf_counter()
    for number, body in enumerate(bodies):
        due = start + number * SPANS_PER_BODY / spans_per_second if spans_per_second else start
        waiting.put((due, body))
    sent = Sent()
    threads = [
        threading.Thread(target=send_some, args=[url, waiting, headers, sent])
        for _ in range(min(connections, len(bodies)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sent


def send_some(url: str, waiting: "queue.SimpleQueue[tuple[float, bytes]]", headers: dict[str, str], sent: Sent) -> None:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0)
    while True:
        try:
            due, body = waiting.get_nowait()
        except queue.Empty:
            connection.close()
            return
        time.sleep(max(0.0, due - time.perf_counter()))
        while not is_answered(connection, body, headers, sent):
            pass


def is_answered(connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str], sent: Sent) -> bool:
    """False if it is to be sent again. What is refused for good is counted, not acknowledged."""
    began = time.perf_counter()
    connection.request("POST", "/v1/traces", body=body, headers=headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status in LATER:
        sent.refusals += 1
        time.sleep(float(answer.headers.get("retry-after", OVERLOADED)))
        return False
    if answer.status // 100 == 2:
        sent.latencies.append(time.perf_counter() - began)
    else:
        sent.failures += 1
    return True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("passes", type=int)
    parser.add_argument("--bodies", type=int, help="send only so many of them")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--spans-per-second", type=float, default=0)
    parser.add_argument("--header", action="append", default=[])
    options = parser.parse_args()
    bodies = encode(options.kind, options.passes)[: options.bodies]
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    headers = headers_of(options.kind, options.header)
    sent = send_all(
        options.url, bodies, headers, connections=options.connections, spans_per_second=options.spans_per_second
    )
    summary = {
        "spans": len(sent.latencies) * SPANS_PER_BODY,
        "bytes": sum(map(len, bodies)),
        "seconds": time.perf_counter() - began,
        "latencies": sorted(sent.latencies),
        "refusals": sent.refusals,
        "failures": sent.failures,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
