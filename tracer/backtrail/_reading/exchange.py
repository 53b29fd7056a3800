"""Runs go into a file and come out of one: what `backtrail export` and `backtrail import` do.

cli → **exchange** → client, otlp_file → (HTTP) → server
"""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from pydantic_core import from_json

from backtrail._reading.answers import CONTENT_TYPES, OtlpForm, Signal
from backtrail._reading.otlp_file import UnreadableFile, requests_in, written
from backtrail._reading.otlp_split import OtlpRequest
from backtrail.errors import ApiError

if TYPE_CHECKING:
    from backtrail.client import Client

NOUNS: dict[Signal, str] = {"traces": "spans", "logs": "log records"}
BUSY = (429, 503)
BUSY_SECONDS = 60.0
NO_RECORDS = (b'{"resourceLogs":[]}', b"")


@dataclass(slots=True)
class Imported:
    """What was sent, and what the server would not have."""

    sent: Counter[Signal] = field(default_factory=Counter)
    rejected: Counter[Signal] = field(default_factory=Counter)
    reasons: dict[str, None] = field(default_factory=dict)

    def __str__(self) -> str:
        return " and ".join(f"{self.sent[signal]:,} {noun}" for signal, noun in NOUNS.items() if self.sent[signal]) or (
            "nothing"
        )


def export_runs(client: "Client", run_ids: Iterable[str], target: IO[bytes], form: OtlpForm) -> int:
    """How many runs were written. A file of protobuf has one kind of message, so log records need JSON."""
    count = 0
    for run_id in run_ids:
        target.write(written(client.export_run(run_id, form=form), form))
        records = client.export_run(run_id, signal="logs", form=form)
        if records not in NO_RECORDS:
            if form == "json":
                target.write(written(records, form))
            else:
                _say(f"{run_id}: its log records are left out; --format json has them")
        count += 1
        _say_now(f"{count} runs written")
    return count


def import_file(client: "Client", name: str, imported: Imported) -> None:
    """Adds to `imported`. Raises ValueError naming the file, after what could be read of it."""
    try:
        with _opened(name) as file:
            for request in requests_in(file):
                rejected, reason = send(client, request)
                imported.sent[request.signal] += request.item_count - rejected
                imported.rejected[request.signal] += rejected
                if rejected:
                    imported.reasons[reason] = None
                _say_now(f"{imported} sent")
    except UnreadableFile as error:
        raise ValueError(f"{name}: {error}") from error
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror or error}") from error


def send(client: "Client", request: OtlpRequest) -> tuple[int, str]:
    """How many of its items the server would not have, and why. A server that is busy is asked again, for a minute."""
    path, headers = f"/v1/{request.signal}", {"Content-Type": CONTENT_TYPES[request.form]}
    deadline = time.monotonic() + BUSY_SECONDS
    response = client._send("POST", path, content=request.body, headers=headers)
    while response.status_code in BUSY and time.monotonic() < deadline:
        time.sleep(float(response.headers.get("Retry-After", 2)))
        response = client._send("POST", path, content=request.body, headers=headers)
    if not response.is_success:
        text = _refusal(response.content) if request.form == "json" else ""
        raise ApiError(text or f"the server answered {response.status_code} to {path}", status=response.status_code)
    return _partial_success(response.content, request)


def _refusal(content: bytes) -> str:
    try:
        return str(from_json(content)["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def _partial_success(content: bytes, request: OtlpRequest) -> tuple[int, str]:
    if request.form == "json":
        partial = from_json(content).get("partialSuccess", {})
        rejected = partial.get("rejectedSpans", partial.get("rejectedLogRecords", 0))
        return int(rejected), str(partial.get("errorMessage", ""))
    if request.signal == "logs":
        records = ExportLogsServiceResponse.FromString(content).partial_success
        return records.rejected_log_records, records.error_message
    spans = ExportTraceServiceResponse.FromString(content).partial_success
    return spans.rejected_spans, spans.error_message


@contextmanager
def created(name: str | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that takes its name when it is whole."""
    if name is None:
        yield sys.stdout.buffer
        return
    path = Path(name)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as target:
            yield target
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as file:
        yield file


def _say_now(text: str) -> None:
    """One line that tells how far it is, for eyes only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
