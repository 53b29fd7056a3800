"""Every span stands in the tree once, whatever its parents say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrail_query.tree import MAX_DEPTH, Tree, TreeNode, build_tree
from backtrail_store.rows import SpanRow
from tests.query_api.spans import span


def outline(node: TreeNode) -> object:
    """A tree as nested names, for comparing it whole."""
    return {node.span.name: [outline(child) for child in node.children]} if node.children else node.span.name


def orphans(tree: Tree) -> list[str]:
    return [node.span.name for node in tree.nodes if node.is_orphan]


def test_children_that_arrive_before_their_parents_find_them() -> None:
    spans = [
        span("chat", "researcher", after_ms=3),
        span("lookup", "researcher", after_ms=2),
        span("researcher", "run", "agent", after_ms=1),
        span("run", kind="run"),
    ]

    tree = build_tree(spans)

    assert outline(tree.root) == {"run": [{"researcher": ["lookup", "chat"]}]}
    assert orphans(tree) == []


def test_a_span_whose_parent_never_came_hangs_below_the_root_as_an_orphan() -> None:
    tree = build_tree([span("run", kind="run"), span("late", "lost"), span("below", "late")])

    assert outline(tree.root) == {"run": [{"late": ["below"]}]}
    assert orphans(tree) == ["late"]


def test_a_step_goes_to_the_agent_whose_key_it_carries_when_its_parent_does_not_say() -> None:
    spans = [
        span("run", kind="run"),
        span("default", "run", "agent", agent_key="a1"),
        span("lookup", "run", agent_key="a1"),
        span("chat", "lost", agent_key="a1"),
        span("inner", "default", "agent", agent_key="a2"),
    ]

    tree = build_tree(spans)

    assert outline(tree.root) == {"run": [{"default": ["chat", "inner", "lookup"]}]}
    assert orphans(tree) == ["chat"]


@pytest.mark.parametrize(
    "spans",
    [
        [span("run", kind="run"), span("self", "self")],
        [span("run", kind="run"), span("a", "b"), span("b", "a")],
        [span("run", kind="run"), span("a", "c"), span("b", "a"), span("c", "b"), span("d", "b")],
        [span("a", "b"), span("b", "a")],
        [span("self", "self")],
    ],
)
def test_parents_that_lead_in_circles_end_at_the_root(spans: list[SpanRow]) -> None:
    tree = build_tree(spans)

    assert sorted(node.span.name for node in tree.nodes) == sorted(one.name for one in spans)


def test_of_two_roots_the_run_is_the_root_and_the_other_its_child() -> None:
    spans = [span("web request", kind=""), span("run", kind="run", after_ms=5), span("step", "run", after_ms=6)]

    tree = build_tree(spans)

    assert outline(tree.root) == {"run": ["web request", "step"]}
    assert orphans(tree) == ["web request"]


def test_a_trace_without_our_spans_is_a_tree_too() -> None:
    tree = build_tree([span("GET /", kind=""), span("SELECT", "GET /", kind="")])

    assert outline(tree.root) == {"GET /": ["SELECT"]}
    assert [node.kind for node in tree.nodes] == ["span", "span"]


def test_open_spans_and_attempts_stand_in_the_tree_as_what_they_are() -> None:
    spans = [
        span("run", kind="run", is_pending=True),
        span("writer", "run", "agent", is_pending=True),
        span("chat", "writer"),
        span("attempt 1", "chat", "attempt"),
    ]

    tree = build_tree(spans)

    assert outline(tree.root) == {"run": [{"writer": [{"chat": ["attempt 1"]}]}]}
    assert [node.kind for node in tree.nodes] == ["run", "agent", "step", "attempt"]


def test_bookkeeping_is_counted_and_not_shown() -> None:
    spans = [
        span("run", kind="run"),
        span("s1", "run", "state"),
        span("s2", "run", "state"),
        span("c1", "run", "checkpoint"),
        span("e1", "run", "effect"),
        span("step", "run"),
    ]

    tree = build_tree(spans)

    assert outline(tree.root) == {"run": ["step"]}
    assert tree.records == {"state": 2, "checkpoint": 1, "effect": 1}


def test_what_lies_too_deep_for_readers_of_json_is_listed_beside_its_ancestor() -> None:
    chain = [span(f"{depth:05}", f"{depth - 1:05}" if depth else "", after_ms=depth) for depth in range(3000)]

    tree = build_tree(chain)

    assert [node.span.name for node in tree.nodes] == [one.name for one in chain]
    deepest = tree.root
    for _ in range(MAX_DEPTH - 1):
        deepest = deepest.children[0]
    assert [child.span.name for child in deepest.children] == [one.name for one in chain[MAX_DEPTH:]]


names = st.sampled_from("abcdefgh")


@given(st.dictionaries(names, st.tuples(st.sampled_from(["run", "agent", "step", ""]), st.one_of(names, st.just("")))))
def test_no_parents_whatsoever_lose_a_span_or_show_it_twice(shape: dict[str, tuple[str, str]]) -> None:
    spans = [span(name, parent, kind, agent_key=parent) for name, (kind, parent) in shape.items()]

    shown = [node.span.name for node in build_tree(spans).nodes] if spans else []

    assert sorted(shown) == sorted(shape)
