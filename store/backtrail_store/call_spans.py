"""A span that tells of a model call, and what is asked of it to count the call once. Pure.

run_totals.sql, backtrail_query.totals → **call_spans** → same_calls, model_calls
"""

from collections.abc import Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

Id = TypeVar("Id", bound=str | int)

MODEL_STEP_KINDS = ("llm", "embedding", "reranker")
# What Backtrail itself says of a span goes before what its attributes look like.
KINDS_WITHOUT_CALL = ("run", "agent", "attempt")


class CallSpan(NamedTuple, Generic[Id]):
    """A span that ended, and is a model call or carries usage. Field order is that of run_totals.sql."""

    span_id: Id
    is_call: bool
    has_usage: bool
    is_served: bool = False  # answered from the record: it did not run
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Any = None
    start_unix_nano: int = 0
    duration_ns: int = 0
    scope_name: str = ""
    request_model: str = ""
    response_model: str = ""
    response_id: str = ""


def is_model_call(backtrail_kind: str, step_kind: str) -> bool:
    """Whether a span is one, whatever operation it names: the conventions have decided that."""
    return step_kind in MODEL_STEP_KINDS and backtrail_kind not in KINDS_WITHOUT_CALL


def ancestors(span_id: Id, parents: Mapping[Id, Id]) -> Iterator[Id]:
    seen = {span_id}
    parent = parents.get(span_id)
    while parent is not None and parent not in seen:
        yield parent
        seen.add(parent)
        parent = parents.get(parent)
    if parent == span_id and len(seen) > 1:
        yield span_id  # a circle: whichever of it is asked first, all of it is around each of it
