"""Flat spans → one tree per run. Pure.

    reader → [SpanRow] → **tree** → totals → routes/runs.py

Spans arrive in any order and not all of them arrive. Whatever the parents say, every span stands in the tree
once: a missing parent, a parent that is the span itself and a circle of parents all end at the root, marked as
orphans. Records (state, checkpoint, effect, process) are bookkeeping and are only counted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from backtrail import semconv
from backtrail_store.rows import SpanRow

EndStatus: TypeAlias = Literal["completed", "failed", "cancelled"]

_STATUS_ATTRIBUTES = (semconv.STEP_STATUS, semconv.AGENT_STATUS, semconv.RUN_STATUS, semconv.ATTEMPT_STATUS)
RECORD_KINDS = frozenset({"state", "checkpoint", "effect", "process"})

# Each level nests twice in JSON, and its readers give up at 128 (serde) or 200 (pydantic); what lies deeper is listed
# beside its ancestor.
MAX_DEPTH = 60


@dataclass(slots=True, eq=False)
class TreeNode:
    span: SpanRow
    kind: str
    is_orphan: bool = False
    children: "list[TreeNode]" = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tree:
    """`nodes` holds every node, parents before their children, children in order of time; `parent_ids` is what the
    spans themselves say, whatever the tree made of it."""

    root: TreeNode
    nodes: list[TreeNode]
    records: Counter[str]
    parent_ids: dict[str, str]
    lost_count: int
    last_received_unix_nano: int

    @property
    def has_ended(self) -> bool:
        """Whether the span on top has ended, and is the root and not only the first of those that have come."""
        is_root = self.root.kind == "run" or not _has_parent(self.root.span)
        return is_root and not self.root.span.is_pending


def build_tree(spans: Sequence[SpanRow]) -> Tree:
    """The tree of one trace; `spans` must not be empty."""
    records = Counter(kind for span in spans if (kind := kind_of(span)) in RECORD_KINDS)
    nodes = {span.span_id: TreeNode(span, kind) for span in spans if (kind := kind_of(span)) not in RECORD_KINDS}
    if not nodes:
        nodes = {spans[0].span_id: TreeNode(spans[0], kind_of(spans[0]))}
    root = _choose_root(nodes)
    root.is_orphan = root.kind != "run" and _has_parent(root.span)
    agents = {node.span.agent_key: node for node in nodes.values() if node.kind == "agent" and node.span.agent_key}
    parents = {
        node.span.span_id: _choose_parent(node, nodes, agents, root) for node in nodes.values() if node is not root
    }
    _cut_circles(parents, nodes, root)
    for node in sorted(nodes.values(), key=lambda node: (node.span.start_time_unix_nano, node.span.span_id)):
        if node is not root:
            parents[node.span.span_id].children.append(node)
    _flatten_depths(root)
    return Tree(
        root,
        list(_walk(root)),
        records,
        {span.span_id: span.parent_span_id for span in spans},
        count_lost(spans),
        max(span.received_unix_nano for span in spans),
    )


def kind_of(span: SpanRow) -> str:
    """What a span is to Backtrail; in the store a pending row is already what it will become."""
    return span.backtrail_kind or "span"


def count_lost(spans: Sequence[SpanRow]) -> int:
    """Spans that the run's processes had to drop: each says so for itself, and the run at its end for its own."""
    of_processes = sum(span.lost for span in spans if kind_of(span) == "process")
    return max(of_processes, *(span.lost for span in spans if kind_of(span) == "run"), 0)


def end_status(span: SpanRow) -> EndStatus:
    """How a span that has ended did so: in its own words, or by OpenTelemetry's."""
    for name in _STATUS_ATTRIBUTES:
        match span.attributes.get(name):
            case "completed" | "failed" | "cancelled" as status:
                return status
    return "failed" if span.status_code == "error" else "completed"


def _walk(root: TreeNode) -> Iterator[TreeNode]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def _choose_root(nodes: dict[str, TreeNode]) -> TreeNode:
    def rank(node: TreeNode) -> tuple[bool, bool, bool, int, str]:
        span = node.span
        has_parent = _has_parent(span)
        return (node.kind != "run", has_parent, span.parent_span_id in nodes, span.start_time_unix_nano, span.span_id)

    return min(nodes.values(), key=rank)


def _has_parent(span: SpanRow) -> bool:
    return bool(span.parent_span_id.strip("0"))


def _choose_parent(node: TreeNode, nodes: dict[str, TreeNode], agents: dict[str, TreeNode], root: TreeNode) -> TreeNode:
    """The parent the span names; without one, or directly below the run, the agent whose key it carries."""
    parent = nodes.get(node.span.parent_span_id)
    node.is_orphan = parent is None or parent is node
    if parent is not None and parent is not node and parent is not root:
        return parent
    if node.kind in ("run", "agent"):
        return root
    return agents.get(node.span.agent_key, root)


def _cut_circles(parents: dict[str, TreeNode], nodes: dict[str, TreeNode], root: TreeNode) -> None:
    """Where parents lead back to where they began, one span of the circle is hung below the root."""
    reaches_root = {root.span.span_id}
    for start in parents:
        path: dict[str, None] = {}
        here = start
        while here not in reaches_root and here not in path:
            path[here] = None
            here = parents[here].span.span_id
        if here not in reaches_root:
            parents[here] = root
            nodes[here].is_orphan = True
        reaches_root.update(path)


def _flatten_depths(root: TreeNode) -> None:
    level = [root]
    for _ in range(MAX_DEPTH - 1):
        level = [child for node in level for child in node.children]
    for node in level:
        below = node.children
        node.children = []
        while below:
            child = below.pop()
            node.children.append(child)
            below.extend(child.children)
            child.children = []
        node.children.sort(key=lambda child: (child.span.start_time_unix_nano, child.span.span_id))
