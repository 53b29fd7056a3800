"""A span's log records for people's eyes: how many and which, or each on a line of its own.

answers → **log_lines** → tree, render
"""

import json
from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from backtrail._reading.answers import LogNote, LogRecord
from backtrail._reading.figures import count
from backtrail._reading.visible import one_line

ERROR = 17  # the least severity number of an error
MESSAGES = ("gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.output.messages")

Records = Mapping[str, Sequence[LogRecord]]  # by span id


def log_summary(logs: Sequence[LogNote]) -> Text:
    names = ", ".join(dict.fromkeys(one_line(log.event_name) for log in logs if log.event_name))
    errors = sum(log.severity_number >= ERROR for log in logs)
    summary = Text(count(len(logs), "log record"), style="dim")
    if errors:
        summary.append(f", {count(errors, 'error')}", style="not dim red")
    return summary.append(f": {names}") if names else summary


def log_lines(records: Sequence[LogRecord]) -> Iterator[Text]:
    for record in records:
        name = record.event_name or record.severity_text or "log"
        style = "not dim red" if record.severity_number >= ERROR else ""
        yield Text.assemble((one_line(name), style), "  ", one_line(_said(record)), style="dim")


def _said(record: LogRecord) -> str:
    """The body; of a GenAI event without one, its messages."""
    if record.body is not None:
        return record.body if isinstance(record.body, str) else _json(record.body)
    return " ".join(_json(record.attributes[key]) for key in MESSAGES if key in record.attributes)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
