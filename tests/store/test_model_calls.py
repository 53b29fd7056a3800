"""Each real model call counts once, however many spans tell of it."""

import pytest

from backtrail_store.model_calls import Candidate, counted_calls


def call(span_id: str, *, usage: bool = True) -> Candidate[str]:
    return Candidate(span_id, is_call=True, has_usage=usage)


def served(span_id: str) -> Candidate[str]:
    return Candidate(span_id, is_call=True, has_usage=False, is_served=True)


def agent(span_id: str) -> Candidate[str]:
    return Candidate(span_id, is_call=False, has_usage=True)


@pytest.mark.parametrize(
    ("candidates", "parents", "counted"),
    [
        ([call("a"), call("b")], {"a": "root", "b": "root"}, {"a", "b"}),
        ([call("outer"), call("inner")], {"outer": "root", "http": "outer", "x": "http", "inner": "x"}, {"inner"}),
        ([call("outer"), call("inner", usage=False)], {"inner": "outer"}, {"outer"}),
        ([call("outer", usage=False), call("inner", usage=False)], {"inner": "outer"}, {"inner"}),
        ([call("outer", usage=False), call("inner")], {"inner": "outer"}, {"inner"}),
        ([agent("a"), call("b")], {"b": "a"}, {"b"}),
        ([agent("a"), agent("b")], {"b": "a"}, {"b"}),
        ([call("a"), call("b")], {"a": "b", "b": "a"}, set()),
        ([call("a"), call("b")], {"a": "b", "b": "x", "x": "a"}, set()),
        ([call("b"), call("a")], {"a": "b", "b": "x", "x": "a"}, set()),
        ([call("told"), served("step")], {"step": "told"}, set()),
        ([call("told"), served("a"), call("b")], {"a": "told", "b": "told"}, {"b"}),
        ([agent("a"), served("step")], {"step": "a"}, set()),
        ([], {}, set()),
    ],
)
def test_the_innermost_with_usage_counts(
    candidates: list[Candidate[str]], parents: dict[str, str], counted: set[str]
) -> None:
    assert counted_calls(candidates, parents) == counted
