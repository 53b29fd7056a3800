"""What a request may say, read once: ids, times, page, project, and the reader that answers.

HTTP request → **params** → routes → reader
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Path, Query, Request

from backtrail_query.errors import BadParameter
from backtrail_store.log_reader import LogReader
from backtrail_store.prices.table import PriceTable
from backtrail_store.reader import TraceReader

MAX_RUNS_PER_PAGE = 1000
MAX_WAIT_SECONDS = 10
SEVERITIES = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}

_HEX_ID = re.compile(r"[0-9a-fA-F]{1,32}")
_HEX_SPAN_ID = re.compile(r"[0-9a-fA-F]{1,16}")
_WAIT = re.compile(r"\bwait=(?P<seconds>\d{1,9})\b")
_NUMBER = re.compile(r"-?\d+")
_LARGEST_HASH = (1 << 64) - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_id(text: str) -> str:
    """A trace id as we write it; old clients trim leading zeros, so those come back."""
    if not _HEX_ID.fullmatch(text):
        raise BadParameter(f"{text[:80]!r} is not a run id: expected 1 to 32 hexadecimal digits")
    if not text.strip("0"):
        raise BadParameter("a run id of nothing but zeros is invalid")
    return text.lower().zfill(32)


def parse_time(name: str, text: str) -> datetime:
    """RFC 3339, or an epoch number whose unit its magnitude tells; parts of a microsecond round up."""
    try:
        if _NUMBER.fullmatch(text):
            return _EPOCH + timedelta(microseconds=-(-_epoch_nanoseconds(int(text)) // 1000))
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as exc:
        raise BadParameter(f"{name}: {text[:80]!r} is neither RFC 3339 nor a unix time") from exc
    if moment.tzinfo is None:
        raise BadParameter(f"{name}: {text!r} has no time zone; write 2026-01-31T12:00:00Z")
    return moment


def _epoch_nanoseconds(number: int) -> int:
    magnitude = abs(number)
    if magnitude >= 10**17:
        return number
    if magnitude >= 10**14:
        return number * 1_000
    if magnitude >= 10**11:
        return number * 1_000_000
    return number * 1_000_000_000


def write_cursor(time_unix_nano: int, id_: str) -> str:
    return urlsafe_b64encode(f"{time_unix_nano}:{id_}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> tuple[int, str]:
    try:
        time, id_ = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").split(":")
        return int(time), parse_id(id_)
    except (ValueError, BadParameter) as exc:
        raise BadParameter("the cursor was not made by this server; leave it out to begin at the newest") from exc


def parse_severity(text: str) -> int:
    """The least severity number that is asked for."""
    number = SEVERITIES.get(text.upper()) or (int(text) if text.isdecimal() else -1)
    if not 0 <= number <= 24:
        raise BadParameter(f"severity: {text[:80]!r} is neither one of {', '.join(SEVERITIES)} nor a number up to 24")
    return number


def _run_id(run_id: Annotated[str, Path(description="1 to 32 hex digits, any case")]) -> str:
    return parse_id(run_id)


def _trace_id(trace_id: Annotated[str, Path(description="1 to 32 hex digits, any case")]) -> str:
    return parse_id(trace_id)


def _start(
    start: Annotated[str | None, Query(description="begun at or after: RFC 3339 or unix time")] = None,
) -> datetime | None:
    return parse_time("start", start) if start else None


def _end(
    end: Annotated[str | None, Query(description="begun before: RFC 3339 or unix time")] = None,
) -> datetime | None:
    return parse_time("end", end) if end else None


def _cursor(
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> tuple[int, str] | None:
    return read_cursor(cursor) if cursor else None


def _log_cursor(
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> tuple[int, int] | None:
    if not cursor:
        return None
    time, id_ = read_cursor(cursor)
    return time, min(int(id_, 16), _LARGEST_HASH)


def _trace_filter(trace_id: Annotated[str | None, Query(description="1 to 32 hex digits")] = None) -> str | None:
    return parse_id(trace_id) if trace_id else None


def parse_span_id(text: str) -> str:
    if not _HEX_SPAN_ID.fullmatch(text):
        raise BadParameter(f"{text[:80]!r} is not a span id: expected 1 to 16 hexadecimal digits")
    return text.lower().zfill(16)


def _span_id(span_id: Annotated[str, Path(description="1 to 16 hex digits, any case")]) -> str:
    return parse_span_id(span_id)


def _span_filter(span_id: Annotated[str | None, Query(description="1 to 16 hex digits")] = None) -> str | None:
    return parse_span_id(span_id) if span_id else None


def _severity(
    severity: Annotated[str | None, Query(description=f"at least this: a number, or {', '.join(SEVERITIES)}")] = None,
) -> int:
    return parse_severity(severity) if severity else 0


def _logs(request: Request) -> LogReader:
    reader: LogReader = request.app.state.store.log_reader
    return reader


def _project(request: Request) -> str:
    project: str = request.state.project  # which the key says, and nothing else
    return project


def settle(request: Request) -> None:
    """For a client that reads what it has just sent: `Prefer: wait=SECONDS` (RFC 7240) has it answered when all that
    was acknowledged before is readable, and at the latest after so long. A process that only answers cannot know."""
    asked = _WAIT.search(request.headers.get("prefer", ""))
    if asked and hasattr(request.app.state, "settle"):
        request.app.state.settle(request.state.project, min(int(asked["seconds"]), MAX_WAIT_SECONDS))


def _prices(request: Request) -> PriceTable:
    prices: PriceTable = request.app.state.store.prices
    return prices


def _reader(request: Request) -> TraceReader:
    reader: TraceReader = request.app.state.store.reader
    return reader


RunId = Annotated[str, Depends(_run_id)]
TraceId = Annotated[str, Depends(_trace_id)]
Start = Annotated[datetime | None, Depends(_start)]
End = Annotated[datetime | None, Depends(_end)]
Cursor = Annotated[tuple[int, str] | None, Depends(_cursor)]
Limit = Annotated[int, Query(ge=1, le=MAX_RUNS_PER_PAGE, description="most on a page")]
Project = Annotated[str, Depends(_project)]
Reader = Annotated[TraceReader, Depends(_reader)]
Logs = Annotated[LogReader, Depends(_logs)]
Prices = Annotated[PriceTable, Depends(_prices)]
LogCursor = Annotated[tuple[int, int] | None, Depends(_log_cursor)]
TraceFilter = Annotated[str | None, Depends(_trace_filter)]
SpanId = Annotated[str, Depends(_span_id)]
SpanFilter = Annotated[str | None, Depends(_span_filter)]
Severity = Annotated[int, Depends(_severity)]
