"""The conversation of a trace: what each model call was given that no earlier one was, and what it answered.

    [(StepRow, SpanMessages)] → **conversation** → message_views → routes/spans.py

A model is given the whole history at every call, so each message is told where it first came up, and kept once. Of
two nested spans that describe one call the inner one tells it, if it has messages.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from pydantic_core import to_json

from backtrail_query.messages.parts import Message, Part
from backtrail_query.messages.reading import SpanMessages
from backtrail_store.rows import StepRow

_NOT_OWN_CALLS = ("run", "agent", "attempt")  # of our spans: the attempts of a step are that step


@dataclass(frozen=True, slots=True)
class Turn:
    span: StepRow
    new_messages: list[Message]
    seen_count: int
    output_messages: list[Message]
    dropped: int


def model_calls(spans: Iterable[StepRow]) -> list[StepRow]:
    """In order of time."""
    calls = [span for span in spans if span.step_kind == "llm" and span.backtrail_kind not in _NOT_OWN_CALLS]
    return sorted(calls, key=lambda span: (span.start_time_unix_nano, span.span_id))


def agents(spans: Iterable[StepRow]) -> list[StepRow]:
    """Who tells the conversation where no model call does, in order of time."""
    found = [span for span in spans if span.step_kind == "agent"]
    return sorted(found, key=lambda span: (span.start_time_unix_nano, span.span_id))


def read_turns(calls: Iterable[tuple[StepRow, SpanMessages]], parents: Mapping[str, str]) -> list[Turn]:
    """`calls` come in order of time, one by one; `parents` are those of all spans of the trace."""
    known: dict[bytes, Known] = {}
    told = [(span, _Call.of(said, known)) for span, said in calls if said.messages]
    around = _around([span.span_id for span, _ in told], parents)
    seen = Counter[bytes]()
    turns = []
    for span, call in told:
        if span.span_id not in around:
            new = _unseen(call, seen)
            answers = [answer.message for answer in call.answered]
            turns.append(Turn(span, new, len(call.given) - len(new), answers, call.dropped))
    return turns


@dataclass(frozen=True, slots=True)
class Known:
    """A message, kept once: a history is as long as the trace, and there is one at each call. `keys` are its words."""

    message: Message
    keys: list[bytes]


@dataclass(frozen=True, slots=True)
class _Call:
    given: list[Known]
    answered: list[Known]
    dropped: int

    @classmethod
    def of(cls, said: SpanMessages, known: dict[bytes, Known]) -> "_Call":
        given = [_known(message, known) for message in said.input_messages]
        return cls(given, [_known(message, known) for message in said.output_messages], said.dropped)


def _known(message: Message, known: dict[bytes, Known]) -> Known:
    digest = blake2b(to_json([message.as_json()], inf_nan_mode="strings"), digest_size=32).digest()
    if (kept := known.get(digest)) is None:
        kept = known[digest] = Known(message, _keys(message))
    return kept


def _around(inner: Sequence[str], parents: Mapping[str, str]) -> set[str]:
    """All spans that one of these lies in."""
    around: set[str] = set()
    for span_id in inner:
        if span_id in around:
            continue  # and so is whatever it lies in
        seen = {span_id}
        parent = parents.get(span_id)
        while parent is not None and parent not in seen and parent not in around:
            seen.add(parent)
            parent = parents.get(parent)
        around |= seen - {span_id}
    return around


def _unseen(call: _Call, seen: Counter[bytes]) -> list[Message]:
    """A message is known if all that it says was said as often in one of the calls before."""
    here = Counter[bytes]()
    new = []
    for given in call.given:
        is_known = True
        for key in given.keys:
            here[key] += 1
            is_known = is_known and here[key] <= seen[key]
        if not is_known:
            new.append(given.message)
    for answer in call.answered:
        here.update(answer.keys)
    for key, count in here.items():
        seen[key] = max(seen[key], count)
    return new


def _keys(message: Message) -> list[bytes]:
    """What a message says, to know it again: reasoning comes back cut or not at all, and of a call its id is enough."""
    said = [_key(message.role, part) for part in message.parts if part.get("type") != "reasoning"]
    return [blake2b(to_json(key, inf_nan_mode="strings"), digest_size=16).digest() for key in said]


def _key(role: str, part: Part) -> list[object]:
    match part.get("type"):
        case "tool_call" | "tool_call_response" as type_ if part.get("id"):
            return [type_, part["id"]]
        case "blob":
            return [role, "blob", part.get("mime_type"), part.get("size")]
        case _:
            return [role, part]
