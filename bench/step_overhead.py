"""What a decorated step costs the thread that calls it, beside a bare OTel span that carries the same attributes.

    @step, input and result recorded  |  the same, no server  |  tracer.start_as_current_span(…)  |  the function alone

Each has its real queue and thread behind it, ours and OTel's batch processor, and nothing behind that; in the second
column there is a real address at which nobody answers, and soon a full queue. Rounds alternate in one process, so that
the machine's moods meet each alike; the figure is the median round. The bare span gets the attributes that a
step's span really had, ready made: it encodes nothing and hashes nothing.

    python -m bench.step_overhead
"""

import logging
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from backtrail import StepKind, agent, run, step
from backtrail._delivery.delivery import Answer, OtlpDelivery, Outcome
from backtrail._delivery.parcel import Parcel
from backtrail._delivery.processor import Processor
from backtrail._spans.recorder import Recorder, set_current_recorder

ROUNDS = 60
CALLS = 1_000
MAX_QUEUE_BYTES = 16 << 20
SPAN_NAME = "execute_tool look_up"
ORDER = {
    "status": "shipped",
    "carrier": "DHL",
    "items": [{"sku": f"LAMP-{number}", "name": "Reading lamp, glass shade", "euros": 49.0} for number in range(4)],
    "address": {"street": "Example Street 7", "city": "Hamburg", "country": "DE"},
}


class Nowhere(SpanExporter):
    """Takes every span, and keeps the last step: as an exporter for OTel, as a delivery for us."""

    endpoint = "nowhere"
    last_step: ReadableSpan | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS

    def pack(self, spans: Sequence[ReadableSpan]) -> list[Parcel]:
        self.last_step = next((span for span in spans if span.name == SPAN_NAME), self.last_step)
        return [Parcel(len(spans), 0)]

    def send(self, parcel: Parcel) -> Answer:
        return Answer(Outcome.DELIVERED)

    def renew(self) -> None: ...


def look_up(order_id: str, customer: str, limit: int = 10) -> dict[str, Any]:
    return ORDER


decorated = step(kind=StepKind.TOOL_CALL)(look_up)


def nanoseconds_a_call(call: Callable[[str, str], object]) -> float:
    order_ids = [f"A-{number}" for number in range(CALLS)]
    start = time.thread_time_ns()
    for order_id in order_ids:
        call(order_id, "customer-7")
    return (time.thread_time_ns() - start) / CALLS


@run
def round_of_steps() -> float:
    return agent_of_steps()


@agent
def agent_of_steps() -> float:
    return nanoseconds_a_call(decorated)


def main() -> None:
    nowhere = Nowhere()
    ours, theirs = Processor(nowhere), BatchSpanProcessor(nowhere)
    away = Processor(OtlpDelivery(f"http://127.0.0.1:{closed_port()}/v1/traces", {}), max_queue_bytes=MAX_QUEUE_BYTES)
    logging.getLogger("backtrail").setLevel(logging.CRITICAL)
    with_server, without_server = Recorder(sink=ours), Recorder(sink=away)
    set_current_recorder(with_server)
    round_of_steps()
    ours.flush(10)
    assert nowhere.last_step is not None
    attributes = dict(nowhere.last_step.attributes or {})
    provider = TracerProvider()
    provider.add_span_processor(theirs)
    tracer = provider.get_tracer("bench")

    def bare(order_id: str, customer: str) -> object:
        with tracer.start_as_current_span(SPAN_NAME, attributes=attributes):
            return look_up(order_id, customer)

    rounds = []
    for _ in range(ROUNDS):
        set_current_recorder(without_server)
        unreachable = round_of_steps()
        set_current_recorder(with_server)
        rounds.append((round_of_steps(), unreachable, nanoseconds_a_call(bare), nanoseconds_a_call(look_up)))
        ours.flush(10)
        theirs.force_flush()
    ours.shutdown()
    provider.shutdown()
    show(attributes, *(statistics.median(column) / 1e3 for column in zip(*rounds, strict=True)))
    away.shutdown(timeout=0.1)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def show(attributes: dict[str, Any], with_step: float, unreachable: float, with_span: float, alone: float) -> None:
    size = sum(len(str(value)) for value in attributes.values())
    print(f"{len(attributes)} attributes, {size:,} characters; median of {ROUNDS} rounds of {CALLS:,} calls\n")
    print(f"{'':38}{'µs of CPU a call':>18}")
    print(f"{'the function alone':38}{alone:18.1f}")
    print(f"{'a bare OTel span around it':38}{with_span:18.1f}")
    print(f"{'@step, input and result recorded':38}{with_step:18.1f}")
    print(f"{'the same, no server, queue of 16 MiB':38}{unreachable:18.1f}")
    print(f"{'step / bare span':38}{(with_step - alone) / (with_span - alone):18.2f}")
    print(f"{'step without a server / bare span':38}{(unreachable - alone) / (with_span - alone):18.2f}")


if __name__ == "__main__":
    main()
