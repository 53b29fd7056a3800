"""A trace as JSON without a Python object for each span.

    spans, contents → queries/trace_json.sql → **trace_json** → routes/traces.py

ClickHouse writes the objects; what is left is to put the payloads in, each message of a chat history escaped once
however many spans repeat it.
"""

from collections.abc import Iterable, Iterator, Mapping
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from backtrail_store.attributes import join_payload
from backtrail_store.values import write_json


class TraceJson(NamedTuple):
    """`spans` are JSON objects; the ids are of those spans, to tell which of a trace's log records have none here."""

    spans: list[str]
    span_ids: set[str]


def span_objects(
    rows: Iterable[Mapping[str, Any]], contents: Mapping[int, str], logs: Mapping[str, str]
) -> Iterator[str]:
    """One JSON object for each row of trace_json.sql, in its order; `logs` has JSON arrays by span id."""
    escaped = {piece: encode_basestring(text)[1:-1] for piece, text in contents.items()}
    for row in rows:
        opening: str = row["opening"]
        payloads = zip(
            row["payload_keys"], row["payload_types"], row["payload_forms"], row["payload_hashes"], strict=True
        )
        members = [member for payload in payloads if (member := _member(*payload, contents, escaped)) is not None]
        joint = "," if members and not opening.endswith("{") else ""
        yield f'{opening}{joint}{",".join(members)}}},"logs":{logs.get(row["span_id"], "[]")}}}'


def _member(
    key: str, type_: str, form: str, hashes: list[int], contents: Mapping[int, str], escaped: Mapping[int, str]
) -> str | None:
    text = join_payload(form, hashes, contents if type_ else escaped)
    return None if text is None else f"{encode_basestring(key)}:{_value(text, type_)}"


def _value(text: str, type_: str) -> str:
    """As trace_json.sql writes the light attributes; what is no string is rare among payloads."""
    match type_:
        case "":
            return f'"{text}"'
        case "empty":
            return "null"
        case "bytes":
            return f'{{"$bytes":"{text}"}}'
        case "double":
            return write_json(float(text))
        case _:
            return text
