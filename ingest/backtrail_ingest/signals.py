"""What OTLP brings: traces and logs, one way in for both.

receiver → admission → inspection → envelope → inbox → writer, each knows its **signal**
"""

from dataclasses import dataclass

from backtrail_store.insert import SignalName


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """`name` as in its path, /v1/traces; `items` as in our metrics; `tag` is its field in Envelope."""

    name: SignalName
    items: str
    tag: bytes


TRACES = Signal(name="traces", items="spans", tag=b"\x1a")  # Envelope.request = 3
LOGS = Signal(name="logs", items="log_records", tag=b"\x22")  # Envelope.logs = 4

SIGNALS: dict[str, Signal] = {signal.name: signal for signal in (TRACES, LOGS)}
