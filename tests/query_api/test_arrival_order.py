"""T22, T23: spans in any order, more than once, under lost or circular parents: shown at once, right in the end."""

import itertools

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail import semconv
from backtrail_query.models import Node, RunView, TraceView
from tests.conftest import Insert
from tests.factories import ROOT_ID, SECOND, START, TRACE_ID, plain_span, run_span, span_id, step_span

RUN = TRACE_ID.hex()


def run_of(api: TestClient) -> RunView:
    answer = api.get(f"/api/v1/runs/{RUN}")
    assert answer.status_code == 200, answer.text
    return RunView.model_validate_json(answer.content)


def outline(node: Node) -> object:
    return {node.name: [outline(child) for child in node.children]} if node.children else node.name


def names(node: Node) -> list[str]:
    return [node.name, *itertools.chain.from_iterable(map(names, node.children))]


def listed(api: TestClient) -> list[tuple[str, int]]:
    return [(run["name"], run["span_count"]) for run in api.get("/api/v1/runs?kind=any").json()["runs"]]


def child(number: int, name: str, parent: bytes) -> Span:
    return plain_span(name, id_=span_id(number), parent_id=parent, start=START + number * SECOND)


def test_t23_children_that_come_before_their_root_are_shown_at_once_and_right_once_it_came(
    api: TestClient, insert: Insert
) -> None:
    insert(child(2, "tool", span_id(1)))
    assert outline(run_of(api).tree) == "tool"
    assert run_of(api).tree.is_orphan

    insert(child(1, "agent", ROOT_ID))
    assert outline(run_of(api).tree) == {"agent": ["tool"]}
    assert (run_of(api).tree.is_orphan, run_of(api).tree.children[0].is_orphan) == (True, False)

    insert(run_span())
    assert outline(run_of(api).tree) == {"support-bot": [{"agent": ["tool"]}]}
    assert not run_of(api).tree.is_orphan
    assert listed(api) == [("support-bot", 3)]


def test_t23_a_root_that_comes_an_hour_later_takes_its_place(api: TestClient, insert: Insert) -> None:
    insert(child(1, "work", ROOT_ID))
    root = plain_span("root", start=START, duration=2 * 3600 * SECOND)

    insert(root, received=START + 2 * 3600 * SECOND)

    assert outline(run_of(api).tree) == {"root": ["work"]}


@pytest.mark.parametrize(
    "parents",
    [{1: 1}, {1: 2, 2: 1}, {1: 2, 2: 3, 3: 1}, {1: 2, 2: 1, 3: 1, 4: 3}, {n: n % 50 + 1 for n in range(1, 51)}],
    ids=["itself", "two", "three", "with a tail", "fifty"],
)
@pytest.mark.parametrize("with_root", [False, True])
def test_t23_spans_that_are_each_others_parents_are_all_shown_once(
    api: TestClient, insert: Insert, parents: dict[int, int], with_root: bool
) -> None:
    circle = [child(number, f"span {number}", span_id(parent)) for number, parent in parents.items()]

    insert(*circle, *([run_span()] if with_root else []))

    expected = [f"span {number}" for number in parents] + ["support-bot"] * with_root
    assert sorted(names(run_of(api).tree)) == sorted(expected)
    assert len(api.get(f"/api/v1/traces/{RUN}").json()["spans"]) == len(expected)
    assert api.get(f"/api/v1/runs/{RUN}/state").status_code in (200, 404)


def test_t23_of_two_roots_both_are_shown_and_the_run_is_listed_once(api: TestClient, insert: Insert) -> None:
    second = plain_span("second", id_=span_id(9), start=START + 5 * SECOND)

    insert(second, run_span("first"), child(1, "work", ROOT_ID))

    assert sorted(names(run_of(api).tree)) == ["first", "second", "work"]
    assert [count for _, count in listed(api)] == [3]


def test_t22_pending_after_final_and_final_after_pending_leave_the_final_one(api: TestClient, insert: Insert) -> None:
    final = step_span(number=3, attributes={semconv.STEP_RESULT: '"found"'})
    pending = plain_span(
        "search",
        id_=b"\x77" * 8,
        parent_id=final.span_id,
        start=final.start_time_unix_nano,
        duration=0,
        attributes={
            semconv.KIND: "pending",
            semconv.PENDING_KIND: "step",
            semconv.PENDING_OF: final.span_id.hex(),
            semconv.PENDING_PARENT: ROOT_ID.hex(),
        },
    )
    for order in itertools.permutations([pending, final, pending]):
        for span in (run_span(), *order):
            insert(span)

        found = TraceView.model_validate_json(api.get(f"/api/v1/traces/{RUN}").content).spans
        assert [(one.name, one.is_pending) for one in found] == [("support-bot", False), ("search", False)]
        assert found[1].attributes[semconv.STEP_RESULT] == '"found"'


@pytest.mark.parametrize("later_first", [True, False])
def test_t22_of_two_spans_with_one_id_the_one_that_ends_later_is_shown(
    api: TestClient, insert: Insert, later_first: bool
) -> None:
    earlier = plain_span("earlier", duration=SECOND, attributes={"which": 1})
    later = plain_span("later", duration=2 * SECOND, attributes={"which": 2})

    for span in (later, earlier) if later_first else (earlier, later):
        insert(span)

    [found] = TraceView.model_validate_json(api.get(f"/api/v1/traces/{RUN}").content).spans
    assert (found.name, found.duration_ns, found.attributes) == ("later", 2 * SECOND, {"which": 2})
