"""Which spans stand for a model call, each real call once, and why the others do not. Pure.

    spans → **model_calls** → the runs list (run_rows), the run's tree (backtrail_query.totals)

Frameworks and providers' instrumentations describe the same call in several spans, and agents repeat the sum of their
calls. So of nested calls the innermost with usage counts, of calls told side by side the one that knows more
(same_calls), and the usage of a span that is no call where no call lies below it or around it. Around a call that was
answered from the record nothing counts: none was made.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Generic

from backtrail_store.call_spans import CallSpan, Id, ancestors
from backtrail_store.same_calls import same_calls


@dataclass(frozen=True, slots=True)
class Counting(Generic[Id]):
    """How the spans of a trace were counted; those named nowhere here repeat a sum of what lies below them."""

    counted: Set[Id]
    same_as: Mapping[Id, Id]  # told again: by which span the call was counted
    not_asked: Set[Id]  # what they tell of was answered from the record


def count_once(spans: Sequence[CallSpan[Id]], parents: Mapping[Id, Id]) -> Counting[Id]:
    """`parents` maps every span of the trace to its parent."""
    calls = [span for span in spans if span.is_call]
    around_calls = _around([call.span_id for call in calls], parents)
    sums, within = _sums([span for span in spans if not span.is_call], calls, around_calls, parents)
    innermost = _innermost(calls, around_calls, _around(sums, parents), parents)
    silent = _nearest(
        [call.span_id for call in innermost if not call.has_usage],
        {call.span_id for call in innermost if call.has_usage},
        parents,
    )
    heard = [call for call in innermost if call.span_id not in silent]
    same = same_calls(heard, calls, parents)
    counted = sums.union(call.span_id for call in heard).difference(same)
    if len(spans) == len(counted) + len(same):
        return Counting(counted, same, frozenset())
    told = silent.keys() | same.keys() | counted
    outer = [call.span_id for call in calls if not call.is_served and call.span_id not in told]
    return _explain(Counting(counted, same, frozenset()), outer, silent | within, calls, parents)


def _innermost(
    calls: Sequence[CallSpan[Id]], around_calls: Set[Id], around_sums: Set[Id], parents: Mapping[Id, Id]
) -> list[CallSpan[Id]]:
    """Of nested calls those that have usage and none within that has; of those that tell nothing the last."""
    telling = [call.span_id for call in calls if call.has_usage or call.is_served]
    around_telling = around_calls if len(telling) == len(calls) else _around(telling, parents)
    return [
        call
        for call in calls
        if not call.is_served
        and call.span_id not in (around_telling if call.has_usage else around_calls)
        and (call.has_usage or call.span_id not in around_sums)
    ]


def _sums(
    spans: Sequence[CallSpan[Id]], calls: Sequence[CallSpan[Id]], around_calls: Set[Id], parents: Mapping[Id, Id]
) -> tuple[set[Id], dict[Id, Id]]:
    """Of the spans that are no calls those whose usage counts; and those within a call, which tell of that one."""
    free = [span.span_id for span in spans if span.span_id not in around_calls]
    if not free:
        return set(), {}
    within = _nearest(free, {call.span_id for call in calls if call.has_usage or call.is_served}, parents)
    free = [each for each in free if each not in within]
    return set(free) - _around(free, parents), within


def _explain(
    counting: Counting[Id],
    outer: Sequence[Id],
    within: Mapping[Id, Id],
    calls: Sequence[CallSpan[Id]],
    parents: Mapping[Id, Id],
) -> Counting[Id]:
    """Why the rest does not count: calls around others, and what lies within a call that counts."""
    served = [call.span_id for call in calls if call.is_served]
    counted, same, not_asked = counting.counted, counting.same_as, set(served)
    told_within = {each: same.get(call, call) for each, call in within.items() if call in counted or call in same}
    same_as = {**same, **told_within}
    below = _only_below(Counting(counted, same_as, not_asked), parents)
    around_served = _around(served, parents)
    for each in outer:
        if (inner := below.get(each)) is not None:
            same_as[each] = inner
        elif each not in below and each in around_served:
            not_asked.add(each)
    for each, call in within.items():
        if call in not_asked:
            not_asked.add(each)
        elif each not in same_as and call in same_as:
            same_as[each] = same_as[call]
    return Counting(counted, same_as, not_asked)


def _around(inner: Iterable[Id], parents: Mapping[Id, Id]) -> set[Id]:
    around: set[Id] = set()
    for span_id in inner:
        for ancestor in ancestors(span_id, parents):
            if ancestor in around:
                break
            around.add(ancestor)
    return around


def _only_below(counting: Counting[Id], parents: Mapping[Id, Id]) -> dict[Id, Id | None]:
    """For each span around calls that count: the call, or None where there are several."""
    below: dict[Id, Id | None] = {}
    for span_id in (*counting.counted, *counting.same_as):
        call = counting.same_as.get(span_id, span_id)
        for ancestor in ancestors(span_id, parents):
            known = below.get(ancestor, call)
            if ancestor in below and known in (call, None):
                break
            below[ancestor] = call if known == call else None
    return below


def _nearest(span_ids: Iterable[Id], wanted: Set[Id], parents: Mapping[Id, Id]) -> dict[Id, Id]:
    """For each of these spans that lies within a wanted one: the nearest such."""
    found: dict[Id, Id | None] = {}
    within: dict[Id, Id] = {}
    for span_id in span_ids:
        nearest, path = None, [span_id]
        for ancestor in ancestors(span_id, parents):
            if ancestor in wanted or ancestor in found:
                nearest = ancestor if ancestor in wanted else found[ancestor]
                break
            path.append(ancestor)
        found.update(dict.fromkeys(path, nearest))
        if nearest is not None:
            within[span_id] = nearest
    return within
