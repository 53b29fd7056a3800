"""The lineage: what a span must say so that it can be understood without its parents.

    RunContext's fields → **Lineage** → attributes of every span in the run, foreign ones too

The original query, whose task this is, who delegated it, how deep, for which try and until when.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from . import semconv
from ._redaction import Redaction
from .canonical import H

_MAX_QUERY_CHARACTERS = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    query: str = ""
    task_id: str
    parent_task_id: str | None = None
    task_chain: tuple[str, ...] = ()
    depth: int = 0
    retry_count: int | None = None
    deadline: str | None = None
    conversation_id: str | None = None
    user_id: str | None = None
    is_cut: bool = False
    caller_seq: int | None = None

    @classmethod
    def of_run(cls, context: Any, lineage_id: str, conversation_id: str | None) -> Lineage:
        """The run's own task; fields of the user's context that say more about it are taken over."""
        chain = _field(context, "task_chain")
        depth = _field(context, "depth")
        return cls(
            query=context.query,
            task_id=_text(context, "task_id") or lineage_id,
            parent_task_id=_text(context, "parent_task_id"),
            task_chain=tuple(map(str, chain)) if isinstance(chain, Iterable) and not isinstance(chain, str) else (),
            depth=depth if isinstance(depth, int) else 0,
            retry_count=_retry_count(context),
            deadline=_deadline(context),
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

    def with_context(self, context: Any) -> Lineage:
        """The lineage a context handed over at a delegation asks for, where it says something itself."""
        task_id = _text(context, "task_id")
        chain = _field(context, "task_chain")
        return replace(
            self,
            task_id=task_id if task_id and task_id not in self.task_chain else self.task_id,
            task_chain=tuple(map(str, chain)) if isinstance(chain, list | tuple) and chain else self.task_chain,
            retry_count=_retry_count(context),
            deadline=_deadline(context),
            user_id=_text(context, "user_id") or self.user_id,
        )

    def attributes(self, redaction: Redaction) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            semconv.QUERY: redaction.text(self.query)[:_MAX_QUERY_CHARACTERS],
            semconv.TASK_ID: redaction.name(self.task_id),
            semconv.DEPTH: self.depth,
        }
        optional = {
            semconv.TASK_PARENT_ID: redaction.name(self.parent_task_id) if self.parent_task_id else None,
            semconv.TASK_CHAIN: tuple(map(redaction.name, self.task_chain)) or None,
            semconv.RETRY_COUNT: self.retry_count,
            semconv.DEADLINE: self.deadline,
            semconv.GEN_AI_CONVERSATION_ID: redaction.name(self.conversation_id) if self.conversation_id else None,
            semconv.USER_ID: redaction.name(self.user_id) if self.user_id else None,
            semconv.LINEAGE_CUT: self.is_cut or None,
            semconv.CALLER_SEQ: self.caller_seq,
        }
        attributes.update({name: value for name, value in optional.items() if value is not None})
        return attributes


def _field(context: Any, name: str) -> Any:
    # A property of the user's class may raise; then it says nothing about the lineage.
    try:
        return getattr(context, name, None)
    except Exception:
        return None


def _text(context: Any, name: str) -> str | None:
    value = _field(context, name)
    return str(value) if isinstance(value, str | int) and value != "" else None


def _retry_count(context: Any) -> int | None:
    value = _field(context, "retry_count")
    return value if isinstance(value, int) else None


def _deadline(context: Any) -> str | None:
    value = _field(context, "deadline")
    return value.isoformat() if isinstance(value, datetime) else None
