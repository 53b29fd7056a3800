"""A row as its sender sent it: what the store added is taken away, what it changed is put back.

    [SpanRow], [LogRow] → **as_sent** → grouped

Importing what was exported gives the same rows, and exporting those the same bytes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from backtrail import semconv
from backtrail_store.log_rows import LogRow
from backtrail_store.rows import AttributeValue, SpanRow

Attributes = dict[str, AttributeValue]

LARGEST_TIME = (1 << 64) - 1

# What the views say of times, each time they read them; see spans_view and logs_view.
# Senders may write there too, so it need not be a time.
_TIMES = re.compile(r"(?<!observed )time out of range: (\d{1,20})(?!\d)(?: to (\d{1,20})(?!\d))?")
_EARLY_END = re.compile(r"end before start: (\d{1,20})(?!\d)")
_OBSERVED = re.compile(r"observed time out of range: (\d{1,20})(?!\d)")
_ODD_TIME = re.compile(
    rf"{_TIMES.pattern}|{_EARLY_END.pattern}|{_OBSERVED.pattern}"
    r"|no start time|no time|received \d+ hours \w+ its \w+"
)


@dataclass(frozen=True, slots=True)
class SentSpan:
    row: SpanRow
    span_id: str
    parent_span_id: str
    start_time_unix_nano: int
    end_time_unix_nano: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class SentLog:
    row: LogRow
    time_unix_nano: int
    observed_time_unix_nano: int
    attributes: Attributes


def sent_span(row: SpanRow) -> SentSpan:
    flagged = _flagged(row.attributes)
    start, end = row.start_time_unix_nano, row.end_time_unix_nano
    if times := _TIMES.search(flagged):
        start, end = _time(times[1]), _time(times[2] or times[1])
    elif early := _EARLY_END.search(flagged):
        end = _time(early[1])
    span_id, parent_span_id = row.span_id, row.parent_span_id
    if row.is_pending:  # it stands for a span, but was one of its own, whose id is of no interest
        span_id, parent_span_id = sha256(f"{row.trace_id} {row.span_id}".encode()).hexdigest()[:16], row.span_id
    return SentSpan(row, span_id, parent_span_id, start, end, _attributes(row.attributes, row.missing_payloads))


def sent_log(row: LogRow) -> SentLog:
    flagged = _flagged(row.attributes)
    times, observed = _TIMES.search(flagged), _OBSERVED.search(flagged)
    return SentLog(
        row,
        _time(times[1]) if times else row.time_unix_nano,
        _time(observed[1]) if observed else row.observed_time_unix_nano,
        _attributes(row.attributes, []),
    )


def _time(digits: str) -> int:
    return min(int(digits), LARGEST_TIME)


def _attributes(attributes: Mapping[str, AttributeValue], missing: list[str]) -> Attributes:
    """By key; a gap is said, and stays said when the export is imported."""
    sent = dict(sorted(attributes.items()))
    said = [part for part in _flagged(attributes).split("; ") if part and not _ODD_TIME.fullmatch(part)]
    if said:
        sent[semconv.FLAGGED] = "; ".join(said)
    else:
        sent.pop(semconv.FLAGGED, None)
    if missing:
        before = sent.get(semconv.MISSING_PAYLOADS)
        sent[semconv.MISSING_PAYLOADS] = sorted({*missing, *(before if isinstance(before, list) else ())}, key=str)
        return dict(sorted(sent.items()))
    return sent


def _flagged(attributes: Mapping[str, AttributeValue]) -> str:
    return str(attributes.get(semconv.FLAGGED, ""))
