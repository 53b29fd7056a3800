"""What W3C baggage says of a caller, written and read.

    Caller → **entries within W3C's limits** → the header → **checked again** → Caller

A header is seen by every proxy on its way, so the whole stays under what the standard promises to carry: 8,192 bytes
and 64 members, those of others included. Theirs are never touched; of ours the longest goes first, the query cut,
anything else left out, and a flag says so. What comes in may be anybody's: what has not the shape we write is not ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from opentelemetry.trace import SpanContext
from pydantic_core import from_json

from backtrail import semconv
from backtrail._payloads.content import json_text
from backtrail._runs.agent_info import AgentInfo
from backtrail._runs.identity import AgentPath, Frame
from backtrail._runs.lineage import Lineage

from .caller import Caller

PREFIX = "backtrail."
MAX_BYTES = 8_192
MAX_MEMBERS = 64

_MAX_ENTRY_BYTES = 2_048
_MAX_COUNT = 1 << 53
_CONVERSATION = f"{PREFIX}{semconv.GEN_AI_CONVERSATION_ID}"
_USER = f"{PREFIX}{semconv.USER_ID}"
_NEEDED = (semconv.CALLER_SEQ, semconv.CALLER_SCOPE, semconv.RUN_LINEAGE_ID)
_FLAG_BYTES = len(f",{semconv.LINEAGE_CUT}=1")
_KEY = re.compile(r"[0-9a-f]{32,64}")


def entries_of(caller: Caller, *, room: int = MAX_BYTES, members: int = MAX_MEMBERS) -> dict[str, str] | None:
    """The caller as baggage that fits; None if even what is needed does not."""
    lineage, agent = caller.lineage, caller.agent
    said: dict[str, Any] = {
        semconv.CALLER_SEQ: caller.seq,
        semconv.CALLER_SCOPE: json_text(caller.frames),
        semconv.RUN_LINEAGE_ID: caller.lineage_id,
        semconv.RUN_NAME: caller.run_name,
        semconv.QUERY: json_text(lineage.query),
        semconv.TASK_ID: lineage.task_id,
        semconv.TASK_PARENT_ID: lineage.parent_task_id,
        semconv.TASK_CHAIN: json_text(lineage.task_chain) if lineage.task_chain else None,
        semconv.DEPTH: lineage.depth,
        semconv.MAX_DEPTH: lineage.max_depth,
        semconv.RETRY_COUNT: lineage.retry_count,
        semconv.DEADLINE: lineage.deadline,
        _CONVERSATION: lineage.conversation_id,
        _USER: lineage.user_id,
        semconv.AGENT_KEY: agent.agent_key if agent else None,
        semconv.AGENT_PATH: json_text(agent.path) if agent else None,
    }
    entries = {name: _utf8(str(value)) for name, value in said.items() if value is not None}
    is_cut = _cut(entries, room - _FLAG_BYTES) or lineage.is_cut
    if is_cut:
        entries[semconv.LINEAGE_CUT] = "1"
    fits = len(entries) <= members and _size(entries) <= room
    return entries if fits else None


def _cut(entries: dict[str, str], room: int) -> bool:
    """Takes from the longest until all fit; whether anything had to go."""
    is_cut = False
    while optional := {name: len(quote_plus(value)) for name, value in entries.items() if name not in _NEEDED}:
        longest = max(optional, key=optional.__getitem__)
        over = max(_size(entries) - room, optional[longest] - _MAX_ENTRY_BYTES)
        if over <= 0:
            break
        is_cut = True
        value = entries.pop(longest)
        if longest == semconv.QUERY and (kept := _shortened(value, optional[longest] - over)):
            entries[longest] = kept
    return is_cut


def _shortened(query_json: str, most: int) -> str:
    """The query's beginning, in this many bytes of a header; nothing if that is hardly any."""
    query: str = from_json(query_json)
    while len(query) > 16 and (size := len(quote_plus(json_text(query)))) > most:
        query = query[: min(len(query) - 1, max(1, len(query) * most // size))]
    return json_text(query) if len(query) > 16 else ""


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _size(entries: Mapping[str, str]) -> int:
    return sum(len(name) + len(quote_plus(value)) + len("=,") for name, value in entries.items())


def caller_in(entries: Mapping[str, object], span: SpanContext) -> Caller | None:
    """The caller these entries tell of; None if they are not ours, or not whole."""
    said = {name: value for name, value in entries.items() if isinstance(value, str) and name.startswith(PREFIX)}
    seq, frames = _count(said.get(semconv.CALLER_SEQ)), _frames(said.get(semconv.CALLER_SCOPE))
    lineage_id = said.get(semconv.RUN_LINEAGE_ID, "")
    if not span.is_valid or seq is None or frames is None or not lineage_id:
        return None
    query, chain = _json(said.get(semconv.QUERY)), _json(said.get(semconv.TASK_CHAIN))
    lineage = Lineage(
        query=query if isinstance(query, str) else "",
        task_id=said.get(semconv.TASK_ID) or lineage_id,
        parent_task_id=said.get(semconv.TASK_PARENT_ID),
        task_chain=tuple(one for one in chain if isinstance(one, str)) if isinstance(chain, list) else (),
        depth=_count(said.get(semconv.DEPTH)) or 0,
        retry_count=_count(said.get(semconv.RETRY_COUNT)),
        max_depth=_count(said.get(semconv.MAX_DEPTH)),
        deadline=said.get(semconv.DEADLINE),
        conversation_id=said.get(_CONVERSATION),
        user_id=said.get(_USER),
        is_cut=semconv.LINEAGE_CUT in said,
        caller_seq=seq,
    )
    return Caller(
        span=span,
        run_name=said.get(semconv.RUN_NAME) or "run",
        lineage_id=lineage_id,
        lineage=lineage,
        agent=_agent(said, lineage),
        seq=seq,
        frames=frames,
    )


def _agent(said: Mapping[str, str], lineage: Lineage) -> AgentInfo | None:
    key, path = said.get(semconv.AGENT_KEY, ""), _pairs(said.get(semconv.AGENT_PATH))
    if not path or not _KEY.fullmatch(key):
        return None
    return AgentInfo(key, path[-1][0], path, lineage.depth, None)


def _pairs(text: str | None) -> AgentPath:
    """`[[name, ordinal], …]`, or nothing."""
    match _json(text):
        case list(parts) if all(_is_pair(part) for part in parts):
            return tuple((name, ordinal) for name, ordinal in parts)
    return ()


def _is_pair(part: object) -> bool:
    return isinstance(part, list) and [type(each) for each in part] == [str, int]


def _frames(text: str | None) -> tuple[Frame, ...] | None:
    """`[["step", key]?, ["remote", hash, number]]`, or None."""
    match _json(text):
        case [["remote", str(scope), int(number)]] if _KEY.fullmatch(scope):
            return (("remote", scope, number),)
        case [["step", str(key)], ["remote", str(scope), int(number)]] if _KEY.fullmatch(key) and _KEY.fullmatch(scope):
            return (("step", key), ("remote", scope, number))
    return None


def _json(text: str | None) -> Any:
    try:
        return from_json(text) if text else None
    except ValueError:
        return None


def _count(text: str | None) -> int | None:
    is_count = text is not None and text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_COUNT))
    return int(text) if is_count and text is not None else None
