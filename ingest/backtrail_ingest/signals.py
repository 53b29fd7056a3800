"""What OTLP brings: traces and logs, one way in for both.

receiver → admission → inspection → envelope → inbox → writer, each knows its **signal**
"""

from dataclasses import dataclass

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from backtrail_store.insert import SignalName


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """`name` as in its path, `items` as in its partial success and in our metrics; `tag` is its field in Envelope."""

    name: SignalName
    items: str
    tag: bytes
    service: str
    request: type[Message]
    response: type[Message]

    @property
    def path(self) -> str:
        return f"/v1/{self.name}"

    @property
    def rejected_items(self) -> str:
        """The field of the partial success that counts them."""
        return f"rejected_{self.items}"


TRACES = Signal(
    name="traces",
    items="spans",
    tag=b"\x1a",  # Envelope.request = 3
    service="opentelemetry.proto.collector.trace.v1.TraceService",
    request=trace_service_pb2.ExportTraceServiceRequest,
    response=trace_service_pb2.ExportTraceServiceResponse,
)
LOGS = Signal(
    name="logs",
    items="log_records",
    tag=b"\x22",  # Envelope.logs = 4
    service="opentelemetry.proto.collector.logs.v1.LogsService",
    request=logs_service_pb2.ExportLogsServiceRequest,
    response=logs_service_pb2.ExportLogsServiceResponse,
)

SIGNALS: dict[str, Signal] = {signal.name: signal for signal in (TRACES, LOGS)}
WHAT_IS_TAKEN = "Backtrail takes " + " and ".join(f"{signal.name} ({signal.path})" for signal in SIGNALS.values())
