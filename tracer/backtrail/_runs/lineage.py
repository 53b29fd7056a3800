"""The lineage: what a span must say so that it can be understood without its parents.

    RunContext's fields → **Lineage** → attributes of every span in the run, foreign ones too

The original query, whose task this is, who delegated it, how deep, for which try and until when.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from backtrail import semconv
from backtrail._contexts.fields import read_field
from backtrail._spans.recorder import Recorder
from backtrail.canonical import H

_MAX_QUERY_CHARACTERS = 8_192
_END_OF_INT64 = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    query: str = ""
    task_id: str
    parent_task_id: str | None = None
    task_chain: tuple[str, ...] = ()
    depth: int = 0
    retry_count: int | None = None
    deadline: str | None = None
    max_depth: int | None = None
    conversation_id: str | None = None
    user_id: str | None = None
    is_cut: bool = False
    caller_seq: int | None = None

    @classmethod
    def of_run(cls, context: Any, lineage_id: str, conversation_id: str | None) -> Lineage:
        """The run's own task; fields of the user's context that say more about it are taken over."""
        return cls(
            query=str(read_field(context, "query") or ""),
            task_id=_text(context, "task_id") or lineage_id,
            parent_task_id=_text(context, "parent_task_id"),
            task_chain=_chain(context),
            depth=_number(context, "depth") or 0,
            retry_count=_number(context, "retry_count"),
            deadline=_deadline(context),
            max_depth=_number(context, "max_depth"),
            conversation_id=conversation_id or _text(context, "conversation_id") or _text(context, "session_id"),
            user_id=_text(context, "user_id"),
        )

    def delegate(self, agent_key: str, lineage_id: str) -> Lineage:
        """The lineage of an agent that this one's agent calls; the same in a resumed run."""
        return replace(
            self,
            task_id=H([lineage_id, "task", agent_key])[:32],
            parent_task_id=self.task_id,
            task_chain=(*self.task_chain, self.task_id),
            depth=self.depth + 1,
        )

    @property
    def is_too_deep(self) -> bool:
        return self.max_depth is not None and self.depth > self.max_depth

    def with_context(self, context: Any) -> Lineage:
        """The lineage a context handed over at a delegation asks for, where it says something itself.

        A task that is new in it is the task from here on. It may ask for more depth, not for less than there is.
        """
        task_id = _text(context, "task_id")
        is_new = task_id is not None and task_id not in self.task_chain
        chain = _chain(context) if is_new or task_id is None else ()
        return replace(
            self,
            task_id=task_id if task_id is not None and is_new else self.task_id,
            parent_task_id=(_text(context, "parent_task_id") if is_new else None) or self.parent_task_id,
            task_chain=chain or self.task_chain,
            depth=max(self.depth, _number(context, "depth") or 0),
            retry_count=_number(context, "retry_count"),
            deadline=_deadline(context),
            max_depth=_number(context, "max_depth"),
            user_id=_text(context, "user_id") or self.user_id,
        )

    def redacted(self, recorder: Recorder) -> Lineage:
        """As it may leave the process, on spans or in headers."""
        redaction = recorder.redaction
        return replace(
            self,
            query="" if recorder.withholds else redaction.text(self.query[: 2 * _MAX_QUERY_CHARACTERS]),
            task_id=redaction.name(self.task_id),
            parent_task_id=redaction.name(self.parent_task_id) if self.parent_task_id else None,
            task_chain=tuple(map(redaction.name, self.task_chain)),
            conversation_id=redaction.name(self.conversation_id) if self.conversation_id else None,
            user_id=redaction.name(self.user_id) if self.user_id else None,
        )

    def attributes(self, recorder: Recorder) -> dict[str, Any]:
        safe = self.redacted(recorder)
        attributes: dict[str, Any] = {
            semconv.QUERY: safe.query[:_MAX_QUERY_CHARACTERS],
            semconv.TASK_ID: safe.task_id,
            semconv.DEPTH: safe.depth,
        }
        optional = {
            semconv.TASK_PARENT_ID: safe.parent_task_id,
            semconv.TASK_CHAIN: safe.task_chain or None,
            semconv.RETRY_COUNT: safe.retry_count,
            semconv.DEADLINE: safe.deadline,
            semconv.GEN_AI_CONVERSATION_ID: safe.conversation_id,
            semconv.USER_ID: safe.user_id,
            semconv.MAX_DEPTH: safe.max_depth,
            semconv.LINEAGE_CUT: safe.is_cut or None,
            semconv.CALLER_SEQ: safe.caller_seq,
        }
        attributes.update({name: value for name, value in optional.items() if value is not None})
        return attributes


def _text(context: Any, name: str) -> str | None:
    value = read_field(context, name)
    return str(value) if isinstance(value, str | int) and value != "" else None


def _number(context: Any, name: str) -> int | None:
    value = read_field(context, name)
    return value if isinstance(value, int) and abs(value) < _END_OF_INT64 else None


def _chain(context: Any) -> tuple[str, ...]:
    chain = read_field(context, "task_chain")
    return tuple(map(str, chain)) if isinstance(chain, list | tuple) else ()


def _deadline(context: Any) -> str | None:
    value = read_field(context, "deadline")
    return value.isoformat() if isinstance(value, datetime) else None
