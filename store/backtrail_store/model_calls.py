"""Which spans stand for a model call, each real call once. Pure.

    spans → **model_calls** → the runs list (reader), the run's tree (backtrail_query.totals)

Frameworks and providers' instrumentations describe the same call in nested spans, and agents repeat the sum of their
calls. So of two nested calls the innermost with usage counts, and a span that is no call counts only in a trace where
no call was recorded at all. Around a call that was answered from the record nothing counts: none was made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Id = TypeVar("Id", str, int)


@dataclass(frozen=True, slots=True)
class Candidate(Generic[Id]):
    """A span that ended, and is a model call or carries usage."""

    span_id: Id
    is_call: bool
    has_usage: bool
    is_served: bool = False  # answered from the record: it did not run


def counted_calls(candidates: Sequence[Candidate[Id]], parents: Mapping[Id, Id]) -> set[Id]:
    """Span ids of the candidates that count. `parents` maps every span of the trace to its parent."""
    calls = [each for each in candidates if each.is_call] or candidates
    around_usage = _around([call.span_id for call in calls if call.has_usage or call.is_served], parents)
    around_calls = _around([call.span_id for call in calls], parents)
    ran = [call for call in calls if not call.is_served]
    with_usage = {call.span_id for call in ran if call.has_usage} - around_usage
    without_usage = {call.span_id for call in ran if not call.has_usage} - around_calls
    # A call that reports nothing, inside one that reports its usage, is that one told again.
    return with_usage | {each for each in without_usage if with_usage.isdisjoint(_ancestors(each, parents))}


def _around(inner: Sequence[Id], parents: Mapping[Id, Id]) -> set[Id]:
    around: set[Id] = set()
    for span_id in inner:
        for ancestor in _ancestors(span_id, parents):
            if ancestor in around:
                break
            around.add(ancestor)
    return around


def _ancestors(span_id: Id, parents: Mapping[Id, Id]) -> Iterator[Id]:
    seen = {span_id}
    parent = parents.get(span_id)
    while parent is not None and parent not in seen:
        yield parent
        seen.add(parent)
        parent = parents.get(parent)
    if parent == span_id and len(seen) > 1:
        yield span_id  # a circle: whichever of it is asked first, all of it is around each of it
