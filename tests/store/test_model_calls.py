"""Each real model call counts once, however many spans tell of it."""

import pytest

from backtrail_store.call_spans import CallSpan
from backtrail_store.model_calls import count_once


def call(span_id: str, *, usage: bool = True) -> CallSpan[str]:
    return CallSpan(span_id, is_call=True, has_usage=usage)


def served(span_id: str) -> CallSpan[str]:
    return CallSpan(span_id, is_call=True, has_usage=False, is_served=True)


def agent(span_id: str) -> CallSpan[str]:
    return CallSpan(span_id, is_call=False, has_usage=True)


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
        # per subtree: an agent whose calls are recorded, and one that only tells their sum
        ([agent("a"), call("b"), agent("c")], {"a": "root", "b": "a", "c": "root"}, {"b", "c"}),
        ([agent("root"), agent("a"), call("b"), agent("c")], {"a": "root", "b": "a", "c": "root"}, {"b", "c"}),
        ([agent("a"), call("b", usage=False)], {"b": "a"}, {"b"}),
        # what carries usage within a call tells of that call
        ([call("a"), agent("chain")], {"chain": "a"}, {"a"}),
        ([call("a", usage=False), agent("chain")], {"chain": "a"}, {"chain"}),
        ([call("outer"), call("a"), agent("chain")], {"a": "outer", "chain": "outer"}, {"a"}),
        ([served("step"), agent("chain")], {"chain": "step"}, set()),
        # three layers, and layers that part
        ([call("a"), call("b"), call("c")], {"b": "a", "c": "b"}, {"c"}),
        ([call("a"), call("b"), call("c", usage=False)], {"b": "a", "c": "b"}, {"b"}),
        ([call("a"), call("b"), call("c")], {"b": "a", "c": "a"}, {"b", "c"}),
        ([agent("a"), agent("b")], {"a": "b", "b": "a"}, set()),
        ([], {}, set()),
    ],
)
def test_the_innermost_with_usage_counts(
    candidates: list[CallSpan[str]], parents: dict[str, str], counted: set[str]
) -> None:
    assert count_once(candidates, parents).counted == counted


def test_a_span_that_does_not_count_says_why() -> None:
    spans = [
        *(agent("agent"), call("around both"), call("framework"), call("client"), call("another"), agent("within")),
        *(call("told"), served("step"), call("silent", usage=False), agent("detail")),
    ]
    parents = {
        "agent": "root",
        "around both": "agent",
        "framework": "around both",
        "client": "framework",
        "within": "client",
        "another": "around both",
        "told": "agent",
        "step": "told",
        "detail": "step",
        "silent": "another",
    }

    counting = count_once(spans, parents)

    assert counting.counted == {"client", "another"}
    assert counting.same_as == {"framework": "client", "within": "client", "silent": "another"}
    assert counting.not_asked == {"told", "step", "detail"}
    assert {"agent", "around both"}.isdisjoint(counting.counted | counting.same_as.keys() | counting.not_asked)


def test_deep_chains_of_silent_calls_and_sums_are_counted_at_once() -> None:
    depth = 5_000
    parents = {f"{level}": f"{level - 1}" for level in range(1, depth)}
    parents |= {f"leaf {level}": f"{depth - 1}" for level in range(depth)}
    silent = [call(f"leaf {level}", usage=False) for level in range(depth)]

    counting = count_once([call("0"), *silent], parents)

    assert counting.counted == {"0"}
    assert len(counting.same_as) == depth
