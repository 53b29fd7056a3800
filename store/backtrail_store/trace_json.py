"""A trace as JSON without a Python object for each span.

    spans, contents → queries/trace_json.sql → **trace_json** → routes/traces.py

ClickHouse writes the objects; what is left is to put the payloads in, each message of a chat history escaped once
however many spans repeat it.
"""

from collections.abc import Iterable, Iterator, Mapping
from json.encoder import encode_basestring
from typing import Any

from backtrail_store.attributes import join_payload


def span_objects(rows: Iterable[Mapping[str, Any]], contents: Mapping[int, str]) -> Iterator[str]:
    """One JSON object for each row of trace_json.sql, in its order."""
    escaped = {piece: encode_basestring(text)[1:-1] for piece, text in contents.items()}
    for row in rows:
        opening: str = row["opening"]
        payloads = zip(
            row["payload_keys"], row["payload_types"], row["payload_forms"], row["payload_hashes"], strict=True
        )
        members = [_member(*payload, contents, escaped) for payload in payloads]
        joint = "," if members and not opening.endswith("{") else ""
        yield f"{opening}{joint}{','.join(members)}}}}}"


def _member(
    key: str, type_: str, form: str, pieces: list[int], contents: Mapping[int, str], escaped: Mapping[int, str]
) -> str:
    name = encode_basestring(key)
    if type_ == "json":
        return f"{name}:{join_payload(form, [contents[piece] for piece in pieces])}"
    return f'{name}:"{join_payload(form, [escaped[piece] for piece in pieces])}"'
