"""One span's messages, whoever recorded it. Pure, and never raises.

carrier, table, readers → **reading** → pairing, tool_calls → conversation, routes/spans.py
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from backtrail_query.messages.carrier import NOT_SAID, Carrier, Said, carrier_of, place_blobs
from backtrail_query.messages.media import blobs_of
from backtrail_query.messages.parts import Message, Part
from backtrail_query.messages.readers import (
    arguments_of,
    definitions_of,
    documents_of,
    messages_of,
    reasons_of,
    result_of,
    texts_of,
    value_of,
)
from backtrail_query.messages.recognition import Direction, read_instructions
from backtrail_query.messages.table import table
from backtrail_store.log_rows import LogRow
from backtrail_store.rows import SpanRow

T = TypeVar("T")

_RETRIEVERS = ("retriever", "reranker")


@dataclass(slots=True)
class SpanMessages:
    """`told_by` says of each field where it was found, `dropped` how many entries were left out.

    `tool_call_id` is what a tool's result says of its call.
    """

    input_messages: list[Message] = field(default_factory=list)
    output_messages: list[Message] = field(default_factory=list)
    system_instructions: list[Part] = field(default_factory=list)
    tool_definitions: list[dict[str, Any]] = field(default_factory=list)
    tool_arguments: Any = None
    tool_result: Any = None
    tool_call_id: str | None = None
    retrieval_query: Any = None
    retrieval_documents: list[dict[str, Any]] = field(default_factory=list)
    embedding_input: list[str] = field(default_factory=list)
    told_by: dict[str, dict[str, str]] = field(default_factory=dict)
    dropped: int = 0

    @property
    def messages(self) -> list[Message]:
        return [*self.input_messages, *self.output_messages]


def read_span(span: SpanRow, logs: Iterable[LogRow] = ()) -> SpanMessages:
    """`span` with its payloads, `logs` the records that were made in it."""
    return read_carrier(carrier_of(span, logs))


def read_carrier(carrier: Carrier) -> SpanMessages:
    return _Reading(carrier).read()


class _Reading:
    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._found = SpanMessages()

    def read(self) -> SpanMessages:
        found = self._found
        found.input_messages = self._messages("input_messages", "input")
        found.output_messages = _without(found.input_messages, self._messages("output_messages", "output"))
        self._read_instructions()
        self._read_finish_reasons()
        found.tool_definitions = self._first("tool_definitions", definitions_of) or []
        if self._carrier.step_kind == "tool":
            self._read_tool()
        if self._carrier.step_kind in _RETRIEVERS:
            found.retrieval_query = self._first("retrieval_query", value_of)
            found.retrieval_documents = self._first("retrieval_documents", documents_of) or []
        if self._carrier.step_kind == "embedding":
            found.embedding_input = self._first("embedding_input", texts_of) or []
        return found

    def _messages(self, name: str, direction: Direction) -> list[Message]:
        def read(said: Said) -> list[Message]:
            if said.source.is_generic and self._carrier.step_kind in NOT_SAID:
                return []
            messages = messages_of(said, direction)
            place_blobs((blob for each in messages for part in each.parts for blob in blobs_of(part)), said.roots)
            return messages

        return self._first(name, read) or []

    def _first(self, name: str, read: Callable[[Said], T]) -> T | None:
        """What the first source says of which anything can be made."""
        for said in self._carrier.asked(table().fields[name].sources):
            found = read(said)
            if found not in (None, []):
                self._found.told_by[name] = said.told_by
                self._found.dropped += said.dropped
                return found
        return None

    def _read_instructions(self) -> None:
        """In front of the input, unless a system message is there."""
        found = self._found
        own = [part for each in found.input_messages if each.role == "system" for part in each.parts]
        said = self._first("system_instructions", lambda said: read_instructions(said.value))
        found.system_instructions = said or own
        if said and not own:
            found.input_messages.insert(0, Message("system", said))

    def _read_tool(self) -> None:
        found, emptied = self._found, self._carrier.emptied
        found.tool_arguments = self._first("tool_arguments", arguments_of)
        found.tool_result, found.tool_call_id = self._first("tool_result", result_of) or (None, None)
        if "tool_arguments" not in found.told_by:
            found.tool_arguments = emptied(table().fields["tool_arguments"].sources)
        if "tool_result" not in found.told_by:
            found.tool_result = emptied(table().fields["tool_result"].sources)

    def _read_finish_reasons(self) -> None:
        answers = self._found.output_messages
        if not answers or any(answer.finish_reason for answer in answers):
            return
        reasons = self._first("finish_reasons", reasons_of) or []
        self._found.told_by.pop("finish_reasons", None)
        self._found.output_messages = _with_reasons(answers, reasons)


def _without(given: Sequence[Message], answered: list[Message]) -> list[Message]:
    """A graph gives back its whole state: what it was given, and what it added."""
    said = [message for message in given if message.role != "system"]
    again = [message for message in answered if message.role != "system"][: len(said)]
    if not said or [(each.role, each.parts) for each in again] != [(each.role, each.parts) for each in said]:
        return answered
    rest = [message for message in answered if message.role != "system"][len(said) :]
    return rest or answered


def _with_reasons(answers: Sequence[Message], reasons: Sequence[str]) -> list[Message]:
    """One for each answer; a single one is that of the last."""
    if len(reasons) == len(answers):
        return [replace(answer, finish_reason=reason) for answer, reason in zip(answers, reasons, strict=True)]
    if len(reasons) == 1:
        return [*answers[:-1], replace(answers[-1], finish_reason=reasons[0])]
    return list(answers)
