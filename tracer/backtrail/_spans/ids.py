"""Ids of runs and spans, from a generator of our own.

    Recorder → **PrivateIds** → trace and span ids

The one of the `random` module is the user's. A program that calls `random.seed(7)` would give every run the same
id, and drawing from it on our thread would disturb the numbers the user draws.
"""

import random

from opentelemetry.sdk.trace.id_generator import IdGenerator

from backtrail._delivery.lifetime import in_forked_child

_random = random.Random()
in_forked_child(_random.seed)  # or parent and child would go on alike


class PrivateIds(IdGenerator):
    def generate_span_id(self) -> int:
        return _random.getrandbits(64) or self.generate_span_id()

    def generate_trace_id(self) -> int:
        return _random.getrandbits(128) or self.generate_trace_id()

    def is_trace_id_random(self) -> bool:
        return True
