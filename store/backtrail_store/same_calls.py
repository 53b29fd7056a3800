"""Which spans tell of the same model call without lying one in the other. Pure.

    model_calls → **same_calls** → model_calls

Two instrumentations of one client need not nest: one hangs its spans where the work began, the other where the
framework is, or each has a provider of its own. What they tell has the same response's id; or else the model, the time
and, as far as both tell it, the usage are the same. One instrumentation tells each of its calls once: three equal calls
at once, told by two, are three calls.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Generic

from backtrail_store.call_spans import CallSpan, Id, ancestors

# How many calls at once, spans of one call and levels up are looked at: a hostile trace costs no more.
_MOST_AT_ONCE = 50
_MOST_TELLERS = 8
_MOST_LEVELS = 64
# A shorter one is no proof: Ollama draws its ids from a thousand (chatcmpl-417), and who answers for a test has one.
_SHORTEST_UNIQUE_ID = 20
_RELEASE = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2})(-v\d+:\d+)?$")


def same_calls(
    calls: Sequence[CallSpan[Id]], all_calls: Iterable[CallSpan[Id]], parents: Mapping[Id, Id]
) -> dict[Id, Id]:
    """For each of these calls that another tells as well: which speaks for both. `all_calls` are also those around."""
    if not _may_be_told_twice(calls):
        return {}
    return _Matching({call.span_id: call.scope_name for call in all_calls}, parents).match(calls)


def _may_be_told_twice(calls: Sequence[CallSpan[Id]]) -> bool:
    if len({call.scope_name for call in calls}) > 1:
        return True
    ids = [call.response_id for call in calls if call.response_id]
    return len(set(ids)) < len(ids)


class _Call(Generic[Id]):
    """One call, as far as it is known: its spans, and the one that says most."""

    __slots__ = ("best", "response_id", "spans")

    def __init__(self, first: CallSpan[Id]) -> None:
        self.spans = [first]
        self.best = first
        self.response_id = first.response_id


class _Matching(Generic[Id]):
    def __init__(self, scopes: Mapping[Id, str], parents: Mapping[Id, Id]) -> None:
        self._scopes = scopes
        self._parents = parents
        self._paths: dict[Id, tuple[Id, ...]] = {}

    def match(self, spans: Iterable[CallSpan[Id]]) -> dict[Id, Id]:
        told_again: set[_Call[Id]] = set()
        by_response: dict[str, _Call[Id]] = {}
        at_once: list[_Call[Id]] = []
        for span in sorted(spans, key=lambda span: (span.start_unix_nano, -span.duration_ns, span.span_id)):
            if at_once:
                at_once = [call for call in at_once if _end(call.best) >= span.start_unix_nano][-_MOST_AT_ONCE:]
            call = self._find(span, by_response.get(span.response_id), at_once)
            if call is None:
                call = _Call(span)
                at_once.append(call)
            else:
                self._add(span, call)
                told_again.add(call)
            if span.response_id:
                by_response[span.response_id] = call
        return {span.span_id: call.best.span_id for call in told_again for span in call.spans if span is not call.best}

    def _find(
        self, span: CallSpan[Id], of_response: _Call[Id] | None, at_once: Sequence[_Call[Id]]
    ) -> _Call[Id] | None:
        """The call this span tells of again; of several that began before it the latest."""
        if of_response is not None and self._is_told_by(of_response, span):
            return of_response
        return next((call for call in reversed(at_once) if self._is_told_by(call, span)), None) if at_once else None

    def _is_told_by(self, call: _Call[Id], span: CallSpan[Id]) -> bool:
        told = call.best
        is_same_response = span.response_id == call.response_id != ""
        if is_same_response and len(span.response_id) >= _SHORTEST_UNIQUE_ID:
            return True
        if span.scope_name == told.scope_name or (span.response_id and call.response_id and not is_same_response):
            return False
        if not _is_at_once(span, told) or not _is_same_usage(span, told):
            return False
        if not is_same_response and (_models(span).isdisjoint(_models(told)) or not self._is_beside(span, told)):
            return False
        return not any(self._is_of_one_scope(span, other) for other in call.spans[:_MOST_TELLERS])

    def _is_of_one_scope(self, one: CallSpan[Id], other: CallSpan[Id]) -> bool:
        """Whether an instrumentation tells of both, so that they are two: itself, or around each."""
        mine, theirs = self._tellers(one), self._tellers(other)
        return not {mine[each] for each in mine.keys() - theirs}.isdisjoint(
            theirs[each] for each in theirs.keys() - mine
        )

    def _tellers(self, span: CallSpan[Id]) -> dict[Id, str]:
        return {each: self._scopes[each] for each in (span.span_id, *self._above(span)) if each in self._scopes}

    def _is_beside(self, one: CallSpan[Id], other: CallSpan[Id]) -> bool:
        """Whether one hangs where the other does, or further up: where the work began that the other is a part of."""
        return self._place(one) in self._above(other) or self._place(other) in self._above(one)

    def _place(self, span: CallSpan[Id]) -> Id | None:
        return next((above for above in self._above(span) if above not in self._scopes), None)

    def _above(self, span: CallSpan[Id]) -> tuple[Id, ...]:
        path = self._paths.get(span.span_id)
        if path is None:
            path = tuple(islice(ancestors(span.span_id, self._parents), _MOST_LEVELS))
            self._paths[span.span_id] = path
        return path

    def _add(self, span: CallSpan[Id], call: _Call[Id]) -> None:
        call.spans.append(span)
        call.best = max(call.best, span, key=self._rank)
        call.response_id = call.response_id or span.response_id

    def _rank(self, span: CallSpan[Id]) -> tuple[int, bool, int, int, int, Id]:
        """Who knows more speaks: the tokens, the price, a stream's last count rather than its first; then who lies
        deeper, in the agent whose call it was."""
        known = [count for count in (span.input_tokens, span.output_tokens) if count is not None]
        has_price = span.cost_usd is not None
        return (len(known), has_price, sum(known), len(self._above(span)), span.start_unix_nano, span.span_id)


def _end(span: CallSpan[Id]) -> int:
    return span.start_unix_nano + span.duration_ns


def _is_at_once(one: CallSpan[Id], other: CallSpan[Id]) -> bool:
    """Whether the shorter lies within the longer, but for a tenth."""
    together = min(_end(one), _end(other)) - max(one.start_unix_nano, other.start_unix_nano)
    return 10 * together >= 9 * min(one.duration_ns, other.duration_ns)


def _is_same_usage(one: CallSpan[Id], other: CallSpan[Id]) -> bool:
    counts = ((one.input_tokens, other.input_tokens), (one.output_tokens, other.output_tokens))
    return all(mine is None or theirs is None or mine == theirs for mine, theirs in counts)


def _models(span: CallSpan[Id]) -> set[str]:
    return {_family(name) for name in (span.request_model, span.response_model) if name}


@lru_cache(maxsize=1024)
def _family(model: str) -> str:
    """openai/gpt-4o-2024-08-06 and gpt-4o: what was asked for and what answered, in two people's words."""
    return _RELEASE.sub("", model.rpartition("/")[2].lower())
