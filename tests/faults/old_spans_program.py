"""Fills a data folder with a week of spans that were received a month ago, about a hundred megabytes of them."""

import random
import sys
import time

from backtrail_store import open_store
from tests.factories import SECOND, batch_of, otlp_request, plain_span, span_id

MONTH_AGO = time.time_ns() - 30 * 86_400 * SECOND
SPANS = 90
OLD_TRACE = bytes([4] * 16)


def main() -> None:
    rnd = random.Random(4)
    spans = [
        plain_span(
            trace_id=OLD_TRACE, id_=span_id(number), start=MONTH_AGO, attributes={"note": rnd.randbytes(1 << 19).hex()}
        )
        for number in range(1, SPANS + 1)
    ]
    with open_store(f"chdb://{sys.argv[1]}/clickhouse") as store:
        store.migrate()
        store.insert(batch_of(otlp_request(*spans), received=MONTH_AGO))  # at once, or merges would want room


if __name__ == "__main__":
    main()
